/** The first schema: the tables of schema.ts with their keys and indexes. */
import type { CreateTableBuilder, Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

// A migration sees the database as it was then, not as today's types describe it.
type Then = Kysely<unknown>;
type Table = CreateTableBuilder<string, string>;

export const initial: Migration = {
  async up(db: Then) {
    await createPeople(db);
    await createHosts(db);
    await createProjects(db);
    await createDeployments(db);
    await createIndexes(db);
  },
};

const create = (db: Then, name: string, columns: (table: Table) => Table): Promise<void> =>
  columns(db.schema.createTable(name)).execute();

async function createPeople(db: Then): Promise<void> {
  await create(db, 'team', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('slug', 'text', (c) => c.notNull().unique())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('plan', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull()),
  );
  await create(db, 'user', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('email', 'text', (c) => c.notNull().unique())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull()),
  );
  await create(db, 'membership', (table) =>
    table
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('user_id', 'text', (c) => c.notNull().references('user.id').onDelete('cascade'))
      .addColumn('role', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('membership_key', ['team_id', 'user_id']),
  );
  await create(db, 'api_token', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('user_id', 'text', (c) => c.notNull().references('user.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull().unique())
      .addColumn('scopes', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text')
      .addColumn('last_used_at', 'text'),
  );
  await create(db, 'session', (table) =>
    table
      .addColumn('hash', 'text', (c) => c.primaryKey())
      .addColumn('token_id', 'text', (c) => c.notNull().references('api_token.id').onDelete('cascade'))
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('expires_at', 'text', (c) => c.notNull()),
  );
}

async function createHosts(db: Then): Promise<void> {
  await create(db, 'host', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('public_key', 'text')
      .addColumn('join_token_hash', 'text', (c) => c.unique())
      .addColumn('join_token_expires_at', 'text')
      .addColumn('join_token_used_at', 'text')
      .addColumn('status', 'text')
      .addColumn('last_seen_at', 'text')
      .addColumn('acknowledged', 'integer', (c) => c.notNull().defaultTo(0))
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addUniqueConstraint('host_name', ['team_id', 'name']),
  );
}

async function createProjects(db: Then): Promise<void> {
  await create(db, 'project', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('team_id', 'text', (c) => c.notNull().references('team.id').onDelete('cascade'))
      .addColumn('slug', 'text', (c) => c.notNull())
      .addColumn('origin', 'text', (c) => c.notNull())
      .addColumn('repository_url', 'text')
      .addColumn('repository_auth', 'text')
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addUniqueConstraint('project_slug', ['team_id', 'slug']),
  );
  await create(db, 'environment', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('project_id', 'text', (c) => c.notNull().references('project.id').onDelete('cascade'))
      .addColumn('slug', 'text', (c) => c.notNull())
      .addColumn('branch', 'text', (c) => c.notNull())
      // restrict: a host with environments cannot be deleted
      .addColumn('host_id', 'text', (c) => c.notNull().references('host.id').onDelete('restrict'))
      .addColumn('settings', 'text', (c) => c.notNull())
      .addColumn('generation', 'integer', (c) => c.notNull())
      .addColumn('env_version', 'integer', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addUniqueConstraint('environment_slug', ['project_id', 'slug']),
  );
  await create(db, 'route', (table) =>
    table
      .addColumn('host', 'text', (c) => c.notNull())
      .addColumn('path_prefix', 'text', (c) => c.notNull())
      .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
      .addPrimaryKeyConstraint('route_key', ['host', 'path_prefix']),
  );
  await create(db, 'variable', (table) =>
    table
      .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('updated_at', 'text', (c) => c.notNull())
      .addPrimaryKeyConstraint('variable_key', ['environment_id', 'name']),
  );
}

async function createDeployments(db: Then): Promise<void> {
  await create(db, 'deployment', (table) =>
    table
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('trigger', 'text', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('generation', 'integer', (c) => c.notNull())
      .addColumn('commit', 'text', (c) => c.notNull())
      .addColumn('branch', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.references('user.id').onDelete('set null'))
      .addColumn('env', 'text')
      .addColumn('env_version', 'integer', (c) => c.notNull())
      .addColumn('release_of', 'text', (c) => c.references('deployment.id').onDelete('set null'))
      .addColumn('variables', 'text', (c) => c.notNull())
      .addColumn('replaced_by', 'text', (c) => c.references('deployment.id').onDelete('set null'))
      .addColumn('error', 'text')
      .addColumn('cancel_requested', 'integer', (c) => c.notNull())
      .addColumn('sent_at', 'text')
      .addColumn('lease_expires_at', 'text')
      .addColumn('created_at', 'text', (c) => c.notNull())
      .addColumn('started_at', 'text')
      .addColumn('finished_at', 'text'),
  );
  await create(db, 'step', (table) =>
    table
      .addColumn('deployment_id', 'text', (c) => c.notNull().references('deployment.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('status', 'text', (c) => c.notNull())
      .addColumn('started_at', 'text', (c) => c.notNull())
      .addColumn('ms', 'real')
      .addColumn('output', 'text')
      .addColumn('note', 'text')
      .addColumn('error', 'text')
      .addPrimaryKeyConstraint('step_key', ['deployment_id', 'name']),
  );
  await create(db, 'release', (table) =>
    table
      .addColumn('deployment_id', 'text', (c) => c.primaryKey().references('deployment.id').onDelete('cascade'))
      .addColumn('environment_id', 'text', (c) => c.notNull().references('environment.id').onDelete('cascade'))
      .addColumn('release', 'text', (c) => c.notNull())
      .addColumn('created_at', 'text', (c) => c.notNull()),
  );
  await create(db, 'log_chunk', (table) =>
    table
      .addColumn('deployment_id', 'text', (c) => c.notNull().references('deployment.id').onDelete('cascade'))
      .addColumn('step', 'text', (c) => c.notNull())
      .addColumn('byte_offset', 'integer', (c) => c.notNull())
      .addColumn('bytes', 'blob', (c) => c.notNull())
      .addPrimaryKeyConstraint('log_chunk_key', ['deployment_id', 'step', 'byte_offset']),
  );
  await create(db, 'event', (table) =>
    table
      // autoincrement: ids are never reused, so Last-Event-ID stays valid after deletions
      .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
      .addColumn('deployment_id', 'text', (c) => c.notNull().references('deployment.id').onDelete('cascade'))
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('data', 'text', (c) => c.notNull()),
  );
}

/** Indexes where no primary or unique key helps: cascading foreign keys, and lists for the API and the scheduler. */
async function createIndexes(db: Then): Promise<void> {
  const indexes: ReadonlyArray<readonly [table: string, ...columns: string[]]> = [
    ['membership', 'user_id'],
    ['api_token', 'team_id'],
    ['api_token', 'user_id'],
    ['session', 'token_id'],
    ['session', 'expires_at'],
    ['environment', 'host_id'],
    ['route', 'environment_id'],
    ['deployment', 'environment_id', 'status'],
    ['deployment', 'environment_id', 'id'],
    ['deployment', 'status'],
    ['deployment', 'user_id'],
    ['deployment', 'release_of'],
    ['deployment', 'replaced_by'],
    ['release', 'environment_id'],
    ['event', 'deployment_id', 'id'],
  ];
  for (const [table, ...columns] of indexes) {
    await db.schema
      .createIndex(`${table}_by_${columns.join('_')}`)
      .on(table)
      .columns(columns)
      .execute();
  }
}
