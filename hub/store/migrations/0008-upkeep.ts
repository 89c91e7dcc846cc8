/** For cleanup: stray repositories, and the details of old deployments. */
import { type Kysely, sql, type SqlBool } from 'kysely';
import type { Migration } from 'kysely/migration';

export const upkeep: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('stray_repository')
      .addColumn('project_id', 'text', (c) => c.primaryKey())
      .execute();
    await db.schema
      .alterTable('deployment')
      .addColumn('details_kept', 'integer', (c) => c.notNull().defaultTo(1))
      .execute();
    await db.schema
      .createIndex('deployment_with_details')
      .on('deployment')
      .columns(['environment_id', 'generation'])
      .where(sql<SqlBool>`details_kept = 1`)
      .execute();
    await db.schema.dropIndex('deployment_with_log').execute();
  },
};
