/** Hosts that do not build, and which host has the job of a deployment. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const buildHosts: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('host')
      .addColumn('builds', 'integer', (c) => c.notNull().defaultTo(1))
      .execute();
    await db.schema.alterTable('deployment').addColumn('host_id', 'text').execute();
    await db.schema.alterTable('deployment').addColumn('build_host_id', 'text').execute();
    const then = db as Kysely<Record<'deployment' | 'environment', Record<string, string | null>>>;
    await then
      .updateTable('deployment')
      .set((row) => ({
        host_id: row
          .selectFrom('environment')
          .select('environment.host_id')
          .whereRef('environment.id', '=', 'deployment.environment_id'),
      }))
      .where('sent_at', 'is not', null)
      .execute();
  },
};
