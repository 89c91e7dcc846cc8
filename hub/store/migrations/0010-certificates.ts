/** Failing certificates as reported by hosts. Receivers with the default kinds of notices also get the new kinds. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** The default kinds of a receiver before this migration, as stored. */
const DEFAULT_BEFORE = [
  'deployment.failed',
  'deployment.reverted',
  'deployment.recovered',
  'host.offline',
  'host.back',
  'upgrade.failed',
];

export const certificates: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('failing_certificate')
      .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
      .addColumn('host', 'text', (c) => c.notNull())
      .addColumn('error', 'text', (c) => c.notNull())
      .addColumn('not_after', 'text')
      .addColumn('since', 'text', (c) => c.notNull())
      .addColumn('told_at', 'text')
      .addPrimaryKeyConstraint('failing_certificate_key', ['environment_id', 'host'])
      .execute();
    const receivers = db as Kysely<{ receiver: { kinds: string } }>;
    await receivers
      .updateTable('receiver')
      .set({ kinds: JSON.stringify([...DEFAULT_BEFORE, 'certificate.failing', 'certificate.mended']) })
      .where('kinds', '=', JSON.stringify(DEFAULT_BEFORE))
      .execute();
  },
};
