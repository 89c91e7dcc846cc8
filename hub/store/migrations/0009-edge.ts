/** Edge settings have their own revision: which one a host applies, and the error if it fails. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const edge: Migration = {
  async up(db: Kysely<unknown>) {
    const number = ['edge_revision', 'edge_applied'] as const;
    for (const name of number) {
      await db.schema
        .alterTable('environment')
        .addColumn(name, 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
    }
    await db.schema.alterTable('environment').addColumn('edge_error', 'text').execute();
    await db.schema
      .alterTable('deployment')
      .addColumn('edge_revision', 'integer', (c) => c.notNull().defaultTo(0))
      .execute();
  },
};
