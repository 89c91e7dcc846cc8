/** Environments: a branch of a project with its settings, on a host. */
import { sql } from 'kysely';
import type { Domain } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { Settings } from '../../protocol/job.ts';
import { isUniqueViolation } from './database.ts';
import type { Db } from './database.ts';
import { byGeneration } from './deployments.ts';
import { notFound } from './not-found.ts';
import { getProject } from './projects.ts';
import { replaceRoutes } from './routes.ts';
import type { Row } from './schema.ts';

interface NewEnvironmentRow extends Pick<
  Row<'environment'>,
  'id' | 'project_id' | 'slug' | 'branch' | 'host_id' | 'created_at'
> {
  readonly settings: Settings;
}

/**
 * Stores the environment with its routes. Call it in a transaction. Settings are validated first, since unreadable ones
 * would break every list that contains them.
 * @throws OrkestrError ORK_CONFLICT (slug), ORK_ROUTE_TAKEN
 */
export async function insertEnvironment(db: Db, environment: NewEnvironmentRow): Promise<void> {
  const settings = JSON.stringify(Settings.parse(environment.settings));
  try {
    await db
      .insertInto('environment')
      .values({ ...environment, settings, generation: 0, env_version: 0 })
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new OrkestrError('ORK_CONFLICT', `The project already has an environment "${environment.slug}".`, {
      cause: error,
    });
  }
  await replaceRoutes(db, environment.id, environment.settings.domains);
}

/** Environments of the given projects, oldest first. */
export function listEnvironments(db: Db, projectIds: readonly string[]): Promise<Row<'environment'>[]> {
  return db.selectFrom('environment').selectAll().where('project_id', 'in', projectIds).orderBy('id').execute();
}

type Place = Pick<Row<'environment'>, 'id' | 'project_id' | 'slug' | 'branch'> & {
  readonly domains: readonly Pick<Domain, 'host' | 'pathPrefix'>[];
};

/** Environments of a team with their domains, oldest first. Leaves out the other settings, which are slow to parse. */
export async function listPlaces(db: Db, teamId: string): Promise<Place[]> {
  const rows = await db
    .selectFrom('environment')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .where('project.team_id', '=', teamId)
    .select(['environment.id', 'project_id', 'environment.slug', 'branch'])
    .select(sql<string>`environment.settings ->> 'domains'`.as('domains'))
    .orderBy('environment.id')
    .execute();
  return rows.map((row) => ({ ...row, domains: JSON.parse(row.domains) as Place['domains'] }));
}

interface EnvironmentInProject {
  readonly project: Row<'project'>;
  readonly environment: Row<'environment'>;
}

/**
 * The environment and its project, by slugs or ids, within the team.
 * @throws OrkestrError ORK_NOT_FOUND, naming the one that does not exist
 */
export async function getEnvironment(
  db: Db,
  teamId: string,
  projectReference: string,
  reference: string,
): Promise<EnvironmentInProject> {
  const project = await getProject(db, teamId, projectReference);
  const environment = await db
    .selectFrom('environment')
    .selectAll()
    .where('project_id', '=', project.id)
    .where((where) => where.or([where('slug', '=', reference), where('id', '=', reference)]))
    .executeTakeFirst();
  if (environment === undefined) throw notFound('environment', reference);
  return { project, environment };
}

/**
 * The environment and its project, of any team.
 * @throws OrkestrError ORK_NOT_FOUND
 */
export async function getEnvironmentById(db: Db, id: string): Promise<EnvironmentInProject> {
  const environment = await db.selectFrom('environment').selectAll().where('id', '=', id).executeTakeFirst();
  if (environment === undefined) throw notFound('environment', id);
  const project = await db
    .selectFrom('project')
    .selectAll()
    .where('id', '=', environment.project_id)
    .executeTakeFirst();
  // It may be deleted between the two.
  if (project === undefined) throw notFound('environment', id);
  return { project, environment };
}

/** Projects with an environment on the host. */
export async function listProjectsOnHost(db: Db, hostId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('environment')
    .select('project_id')
    .distinct()
    .where('host_id', '=', hostId)
    .execute();
  return rows.map(({ project_id }) => project_id);
}

/** Environments with waiting deployments: all, or those that a host serves or may build for. */
export async function listWaitingEnvironments(db: Db, hostId?: string): Promise<string[]> {
  const rows = await db
    .selectFrom('deployment')
    .innerJoin('environment', 'environment.id', 'deployment.environment_id')
    .innerJoin('host', 'host.id', 'environment.host_id')
    .select('environment.id')
    .distinct()
    .where('deployment.status', '=', 'queued')
    .where('deployment.sent_at', 'is', null)
    .$if(hostId !== undefined, (query) =>
      query.where('host.team_id', '=', (row) =>
        row
          .selectFrom('host')
          .select('team_id')
          .where('id', '=', hostId ?? ''),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}

/**
 * Updates branch, settings and routes, and the edge revision if `edgeChanged`. Call it in a transaction.
 * @throws OrkestrError ORK_ROUTE_TAKEN
 */
export async function updateEnvironment(
  db: Db,
  environmentId: string,
  change: { readonly branch: string; readonly settings: Settings; readonly edgeChanged: boolean },
): Promise<void> {
  const { branch, settings, edgeChanged } = change;
  await db
    .updateTable('environment')
    .set({ branch, settings: JSON.stringify(settings) })
    .$if(edgeChanged, (query) =>
      query.set((row) => ({ edge_revision: row('edge_revision', '+', 1), edge_error: null })),
    )
    .where('id', '=', environmentId)
    .execute();
  await replaceRoutes(db, environmentId, change.settings.domains);
}

export async function deleteEnvironment(db: Db, environmentId: string): Promise<void> {
  await db.deleteFrom('environment').where('id', '=', environmentId).execute();
}

/** The settings of a row, parsed so that fields added since get their defaults. */
export function readSettings(environment: Pick<Row<'environment'>, 'settings'>): Settings {
  return Settings.parse(JSON.parse(environment.settings));
}

/** Environment id → its live deployment, for environments that have one. */
export async function liveDeployments(db: Db, environmentIds: readonly string[]): Promise<Map<string, string>> {
  // SQLite looks through the whole table for none.
  if (environmentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('deployment')
    .select(['id', 'environment_id', 'generation'])
    .where('environment_id', 'in', environmentIds)
    .where('status', '=', 'live')
    .execute();
  return new Map(rows.toSorted(byGeneration).map((row) => [row.environment_id, row.id]));
}

/** Environment id → its newest deployment of any status, for environments that have one. */
export async function latestDeployments(
  db: Db,
  environmentIds: readonly string[],
): Promise<Map<string, Pick<Row<'deployment'>, 'id' | 'status' | 'commit' | 'created_at'>>> {
  const rows = await db
    .selectFrom('environment')
    .innerJoin('deployment', (join) =>
      join
        .onRef('deployment.environment_id', '=', 'environment.id')
        .onRef('deployment.generation', '=', 'environment.generation'),
    )
    .select(['environment_id', 'deployment.id', 'deployment.status', 'deployment.commit', 'deployment.created_at'])
    .where('environment.id', 'in', environmentIds)
    .execute();
  return new Map(rows.map(({ environment_id, ...deployment }) => [environment_id, deployment]));
}
