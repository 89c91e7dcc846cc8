/** Indexes for deleting environments and scanning their releases, however long their history is. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const deletion: Migration = {
  async up(db: Kysely<unknown>) {
    // Which hosts built for the environment, and their last deployments.
    await db.schema
      .createIndex('deployment_by_environment_id_build_host_id')
      .on('deployment')
      .columns(['environment_id', 'build_host_id', 'generation'])
      .execute();
    // Covers the scan in pages without reading the releases themselves, which take a page of the file or more each.
    await db.schema
      .createIndex('release_by_environment_id_deployment_id')
      .on('release')
      .columns(['environment_id', 'deployment_id'])
      .execute();
    await db.schema.dropIndex('release_by_environment_id').execute();
  },
};
