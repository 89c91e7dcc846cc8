/** Receivers of notifications, and their messages. */
import { type Kysely, sql, type SqlBool } from 'kysely';
import type { Migration } from 'kysely/migration';

export const notifications: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('receiver')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('project_id', 'text', (c) => c.references('project.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('shown', 'text', (c) => c.notNull())
      .addColumn('settings', 'text', (c) => c.notNull())
      .addColumn('kinds', 'text', (c) => c.notNull())
      .addColumn('quiet_until', 'text')
      .addColumn('created_at', 'text', (c) => c.notNull())
      .execute();
    // In a unique index nulls are all distinct, so receivers of a team need an index of their own.
    await db.schema
      .createIndex('receiver_by_project')
      .on('receiver')
      .columns(['project_id', 'name'])
      .unique()
      .execute();
    await db.schema
      .createIndex('receiver_by_team')
      .on('receiver')
      .columns(['team_id', 'name'])
      .unique()
      .where(sql<SqlBool>`project_id is null`)
      .execute();
    await db.schema
      .createTable('delivery')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('receiver_id', 'text', (c) => c.notNull().references('receiver.id').onDelete('cascade'))
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('notices', 'text', (c) => c.notNull())
      .addColumn('left_out', 'integer', (c) => c.notNull().defaultTo(0))
      .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
      .addColumn('due_at', 'text')
      .addColumn('begun_at', 'text')
      .addColumn('error', 'text')
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('ended_at', 'text')
      .execute();
    await db.schema.createIndex('delivery_by_due_at').on('delivery').column('due_at').execute();
    await db.schema.createIndex('delivery_by_receiver').on('delivery').columns(['receiver_id', 'id']).execute();
    await db.schema.createIndex('delivery_by_state').on('delivery').columns(['receiver_id', 'state']).execute();
    await db.schema.alterTable('host').addColumn('away_told_at', 'text').execute();
  },
};
