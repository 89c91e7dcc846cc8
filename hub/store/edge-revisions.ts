/** Which revision of the edge settings is in effect on the hosts. */
import type { EdgeNews } from '../../protocol/agent-link.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/** Selects environments: one, those of a host, or all. */
export interface EdgePlaces {
  readonly environmentId?: string;
  readonly hostId?: string;
}

/** Environments whose host applies older edge settings than are stored here. */
export function listBehind(db: Db, { environmentId, hostId }: EdgePlaces): Promise<Row<'environment'>[]> {
  return db
    .selectFrom('environment')
    .selectAll()
    .whereRef('edge_applied', '<', 'edge_revision')
    .$if(environmentId !== undefined, (query) => query.where('id', '=', environmentId ?? ''))
    .$if(hostId !== undefined, (query) => query.where('host_id', '=', hostId ?? ''))
    .execute();
}

/** Records that this revision, or a newer one, is in effect. */
export async function raiseApplied(db: Db, environmentId: string, revision: number): Promise<void> {
  await db
    .updateTable('environment')
    .set({ edge_applied: revision, edge_error: null })
    .where('id', '=', environmentId)
    .where('edge_applied', '<', revision)
    .execute();
}

/**
 * Stores what the host reports about an environment. False when the host has seen newer revisions than this hub, which
 * was then restored from a backup: the revision is raised above them, and must be sent again. Call it in a transaction.
 */
export async function storeEdgeNews(
  db: Db,
  hostId: string,
  { environmentId, revision, error }: EdgeNews,
): Promise<boolean> {
  const own = await db
    .selectFrom('environment')
    .select('edge_revision')
    .where('id', '=', environmentId)
    .where('host_id', '=', hostId)
    .executeTakeFirst();
  if (own === undefined) return true;
  const isNewer = revision > own.edge_revision;
  const change = isNewer
    ? { edge_revision: revision + 1, edge_applied: revision, edge_error: null }
    : error === undefined
      ? { edge_applied: revision, edge_error: null }
      : { edge_error: JSON.stringify(error) };
  await db.updateTable('environment').set(change).where('id', '=', environmentId).execute();
  return !isNewer;
}
