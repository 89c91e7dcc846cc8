/** Upgrades across hosts, and each host's progress. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const upgrades: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('upgrade')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('version', 'text', (c) => c.notNull())
      .addColumn('at_once', 'integer', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('finished_at', 'text')
      .execute();
    await db.schema.createIndex('upgrade_by_team_id').on('upgrade').columns(['team_id', 'id']).execute();
    await db.schema.createIndex('upgrade_by_state').on('upgrade').column('state').execute();
    await db.schema
      .createTable('upgrade_host')
      .addColumn('upgrade_id', 'text', (c) => c.notNull().references('upgrade.id').onDelete('cascade'))
      .addColumn('host_id', 'text', (c) => c.notNull().references('host.id').onDelete('cascade'))
      .addColumn('position', 'integer', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('error', 'text')
      .addColumn('order_id', 'text', (c) => c.notNull().unique())
      .addColumn('turn_at', 'text')
      .addPrimaryKeyConstraint('upgrade_host_key', ['upgrade_id', 'host_id'])
      .execute();
    await db.schema.createIndex('upgrade_host_by_host_id').on('upgrade_host').column('host_id').execute();
  },
};
