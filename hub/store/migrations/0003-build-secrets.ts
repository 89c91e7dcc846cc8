/** Two kinds of variables, for the app and for its build; registry logins. */
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const buildSecrets: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('deployment').addColumn('build_secrets', 'text').execute();
    await makeKindPartOfKey(db);
    await db.schema
      .createTable('registry')
      .addColumn('project_id', 'text', (c) => c.notNull().references('project.id').onDelete('cascade'))
      .addColumn('host', 'text', (c) => c.notNull())
      .addColumn('username', 'text', (c) => c.notNull())
      .addColumn('password', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('registry_key', ['project_id', 'host'])
      .execute();
  },
};

/** SQLite cannot change a primary key, so the table is recreated. */
async function makeKindPartOfKey(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('variable').renameTo('variable_without_kind').execute();
  await db.schema
    .createTable('variable')
    .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('variable_kind_key', ['environment_id', 'kind', 'name'])
    .execute();
  const then = db as Kysely<Record<'variable' | 'variable_without_kind', Record<string, string>>>;
  await then
    .insertInto('variable')
    .columns(['environment_id', 'kind', 'name', 'value', 'updated_at'])
    .expression(
      then
        .selectFrom('variable_without_kind')
        .select((row) => ['environment_id', row.val('app').as('kind'), 'name', 'value', 'updated_at']),
    )
    .execute();
  await db.schema.dropTable('variable_without_kind').execute();
}
