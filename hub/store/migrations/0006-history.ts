/** Indexes for long histories: pages of deployments, remaining logs, hosts under way. */
import { type Kysely, sql, type SqlBool } from 'kysely';
import type { Migration } from 'kysely/migration';

export const history: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createIndex('deployment_by_environment_id_generation')
      .on('deployment')
      .columns(['environment_id', 'generation'])
      .execute();
    // The order by id is also the order by generation.
    await db.schema.dropIndex('deployment_by_environment_id_id').execute();
    await db.schema
      .createIndex('deployment_with_log')
      .on('deployment')
      .columns(['environment_id', 'generation'])
      .where(sql<SqlBool>`log_bytes > 0`)
      .execute();
    await db.schema.createIndex('upgrade_host_by_state').on('upgrade_host').column('state').execute();
  },
};
