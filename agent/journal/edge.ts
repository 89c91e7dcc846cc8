/** The newest edge settings of each environment in the journal. */
import { EdgeSettings } from '../../protocol/edge.ts';
import { edgePartOf, keepingProtocol } from '../../protocol/edge-order.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { EdgeRecord } from '../deployment/records.ts';
import type { Database } from './database.ts';

interface EdgeRow {
  environment_id: string;
  revision: number;
  routes: string;
  settings: string;
}

export function findEdge(database: Database, environmentId: string): EdgeRecord | null {
  const row = database.prepare<[string], EdgeRow>('SELECT * FROM edge WHERE environment_id = ?').get(environmentId);
  if (row === undefined) return null;
  return {
    environmentId,
    revision: row.revision,
    routes: UpstreamEntry.shape.routes.parse(JSON.parse(row.routes)),
    edge: EdgeSettings.parse(JSON.parse(row.settings)),
  };
}

export function forgetEdge(database: Database, environmentId: string): void {
  database.prepare('DELETE FROM edge WHERE environment_id = ?').run(environmentId);
}

/**
 * A job brings settings, too. A hub that does not number them sends no separate ones, so earlier ones no longer count.
 */
export function takeEdgeOfJob(database: Database, { environment, edgeRevision, settings }: ReleaseJob): void {
  if (edgeRevision === undefined) forgetEdge(database, environment.id);
  else takeEdge(database, { environmentId: environment.id, revision: edgeRevision, ...edgePartOf(settings) });
}

/** Stores the settings of an order or a job, unless newer ones are known, and puts them into the live record. */
export function takeEdge(database: Database, { environmentId, revision, routes, edge }: EdgeRecord): void {
  database.transaction(() => {
    if (!putEdge(database, { environmentId, revision, routes, edge })) return;
    const row = database
      .prepare<[string], { entry: string }>('SELECT entry FROM live WHERE environment_id = ?')
      .get(environmentId);
    if (row === undefined) return;
    const served = UpstreamEntry.parse(JSON.parse(row.entry));
    const entry = { ...served, routes, edge: keepingProtocol({ edge }, served) };
    database.prepare('UPDATE live SET entry = ? WHERE environment_id = ?').run(JSON.stringify(entry), environmentId);
  })();
}

/** Returns false if newer ones are known. */
function putEdge(database: Database, { environmentId, revision, routes, edge }: EdgeRecord): boolean {
  const { changes } = database
    .prepare(
      `INSERT INTO edge (environment_id, revision, routes, settings) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET revision = excluded.revision, routes = excluded.routes, settings = excluded.settings
       WHERE excluded.revision >= revision`,
    )
    .run(environmentId, revision, JSON.stringify(routes), JSON.stringify(edge));
  return changes > 0;
}
