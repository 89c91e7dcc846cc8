/** Which environment owns which host name and path: unique across teams, since one proxy may serve them all. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Domain } from '../../protocol/edge.ts';
import { isUniqueViolation } from './database.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/**
 * Makes `domains` the routes of the environment. Call it in the transaction that writes its settings.
 * @throws OrkestrError ORK_ROUTE_TAKEN
 */
export async function replaceRoutes(db: Db, environmentId: string, domains: readonly Domain[]): Promise<void> {
  await db.deleteFrom('route').where('environment_id', '=', environmentId).execute();
  for (const domain of domains) {
    try {
      await db
        .insertInto('route')
        .values({ host: domain.host, path_prefix: domain.pathPrefix, environment_id: environmentId })
        .execute();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const name = `${domain.host}${domain.pathPrefix}`;
      throw new OrkestrError(
        'ORK_ROUTE_TAKEN',
        `The domain ${name} belongs to ${await holderOf(db, environmentId, domain)}.`,
        {
          cause: error,
        },
      );
    }
  }
}

/** Whether the environment may take the route: it is unused, or already its own. */
export async function isRouteFree(db: Db, environmentId: string, { host, pathPrefix }: Domain): Promise<boolean> {
  const row = await db
    .selectFrom('route')
    .select('environment_id')
    .where('host', '=', host)
    .where('path_prefix', '=', pathPrefix)
    .executeTakeFirst();
  return row === undefined || row.environment_id === environmentId;
}

/** Describes the owner; by name only to its own team. */
async function holderOf(db: Db, askingId: string, { host, pathPrefix }: Domain): Promise<string> {
  const teamOf = (environmentId: string) =>
    db
      .selectFrom('environment')
      .innerJoin('project', 'project.id', 'environment.project_id')
      .select(['environment.slug', 'project.slug as project', 'project.team_id'])
      .where('environment.id', '=', environmentId)
      .executeTakeFirstOrThrow();
  const { environment_id } = await db
    .selectFrom('route')
    .select('environment_id')
    .where('host', '=', host)
    .where('path_prefix', '=', pathPrefix)
    .executeTakeFirstOrThrow();
  const [asking, holder] = [await teamOf(askingId), await teamOf(environment_id)];
  if (asking.team_id !== holder.team_id) return 'an environment of another team';
  return `${holder.project}/${holder.slug}: remove the domain there first, or give that environment another one`;
}

/** The domains of a host's environments, each once per environment, even if several of its paths are routed. */
export function listDomainsOfHost(db: Db, hostId: string): Promise<Pick<Row<'route'>, 'environment_id' | 'host'>[]> {
  return db
    .selectFrom('route')
    .innerJoin('environment', 'environment.id', 'route.environment_id')
    .select(['route.environment_id', 'route.host'])
    .distinct()
    .where('environment.host_id', '=', hostId)
    .execute();
}
