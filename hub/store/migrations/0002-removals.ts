/** Outstanding removals of environments from their hosts, and stored log bytes per deployment. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const removals: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('deployment')
      .addColumn('log_bytes', 'integer', (c) => c.notNull().defaultTo(0))
      .execute();
    await db.schema
      .createTable('removal')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('host_id', 'text', (c) => c.notNull().references('host.id').onDelete('cascade'))
      .addColumn('project_id', 'text', (c) => c.notNull())
      .addColumn('project_slug', 'text', (c) => c.notNull())
      .addColumn('environment_id', 'text', (c) => c.notNull())
      .addColumn('environment_slug', 'text', (c) => c.notNull())
      .addColumn('generation', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('removal_by_host_id').on('removal').column('host_id').execute();
  },
};
