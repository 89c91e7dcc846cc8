/** Indexes by which an environment goes, and its releases are gone through, however many deployments it has had. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const deletion: Migration = {
  async up(db: Kysely<unknown>) {
    // Which hosts have built for it, and with which deployment last.
    await db.schema
      .createIndex('deployment_by_environment_id_build_host_id')
      .on('deployment')
      .columns(['environment_id', 'build_host_id', 'generation'])
      .execute();
    // In pages, without the releases themselves, of which each is a page of the file or more.
    await db.schema
      .createIndex('release_by_environment_id_deployment_id')
      .on('release')
      .columns(['environment_id', 'deployment_id'])
      .execute();
    await db.schema.dropIndex('release_by_environment_id').execute();
  },
};
