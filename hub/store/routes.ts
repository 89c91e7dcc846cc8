/** Which environment has which host name and path: unique over all teams, since one proxy may serve them all. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Domain } from '../../protocol/edge.ts';
import { isUniqueViolation } from './database.ts';
import type { Db } from './database.ts';

/**
 * Make `domains` the routes of the environment. Call it in the transaction that writes its settings.
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
      throw new OrkestrError('ORK_ROUTE_TAKEN', `The domain ${domain.host}${domain.pathPrefix} is taken already.`, {
        cause: error,
      });
    }
  }
}

export async function isRouteFree(db: Db, { host, pathPrefix }: Domain): Promise<boolean> {
  const row = await db
    .selectFrom('route')
    .select('environment_id')
    .where('host', '=', host)
    .where('path_prefix', '=', pathPrefix)
    .executeTakeFirst();
  return row === undefined;
}
