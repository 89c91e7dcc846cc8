/** Live apps that are down, as reported by hosts. Receivers with the default kinds of notices also get the new kinds. */
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
  'certificate.failing',
  'certificate.mended',
];

export const downApps: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('down_app')
      .addColumn('environment_id', 'text', (c) => c.primaryKey().references('environment.id').onDelete('cascade'))
      .addColumn('deployment_id', 'text', (c) => c.notNull())
      .addColumn('error', 'text', (c) => c.notNull())
      .addColumn('exit_code', 'integer')
      .addColumn('restarts', 'integer', (c) => c.notNull())
      .addColumn('since', 'text', (c) => c.notNull())
      .addColumn('heard_at', 'text', (c) => c.notNull())
      .addColumn('told_at', 'text')
      .execute();
    const receivers = db as Kysely<{ receiver: { kinds: string } }>;
    await receivers
      .updateTable('receiver')
      .set({ kinds: JSON.stringify([...DEFAULT_BEFORE, 'app.down', 'app.back']) })
      .where('kinds', '=', JSON.stringify(DEFAULT_BEFORE))
      .execute();
  },
};
