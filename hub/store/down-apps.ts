/** Live apps that are down, by environment. */
import type { DownApp } from '../../protocol/agent-link.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

/** The apps of a host that are known to be down. */
export function listDownOfHost(db: Db, hostId: string): Promise<Row<'down_app'>[]> {
  return db
    .selectFrom('down_app')
    .innerJoin('environment', 'environment.id', 'down_app.environment_id')
    .selectAll('down_app')
    .where('environment.host_id', '=', hostId)
    .execute();
}

/** Those of the environments that are placed on the host. */
export async function placedOn(db: Db, hostId: string, environmentIds: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom('environment')
    .select('id')
    .where('host_id', '=', hostId)
    .where('id', 'in', environmentIds)
    .execute();
  return rows.map(({ id }) => id);
}

/** Environment id → its app, if it is down, whichever of its deployments that is. */
export async function downApps(db: Db, environmentIds: readonly string[]): Promise<Map<string, Row<'down_app'>>> {
  const rows = await db.selectFrom('down_app').selectAll().where('environment_id', 'in', environmentIds).execute();
  return new Map(rows.map((row) => [row.environment_id, row]));
}

/** The apps of a team's hosts that are down, with the names of their places. */
export function listDownOfTeam(
  db: Db,
  teamId: string,
): Promise<(Row<'down_app'> & { readonly host_id: string; readonly slug: string; readonly project_slug: string })[]> {
  return db
    .selectFrom('down_app')
    .innerJoin('environment', 'environment.id', 'down_app.environment_id')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .selectAll('down_app')
    .select(['environment.host_id', 'environment.slug', 'project.slug as project_slug'])
    .where('project.team_id', '=', teamId)
    .orderBy('project.slug')
    .orderBy('environment.slug')
    .execute();
}

/** What changes of an app that is known to be down; of a new one, everything. Of another deployment nothing must be known. */
export async function putDown(
  db: Db,
  { environmentId, deploymentId, error, exitCode, restarts, since }: DownApp,
  now: string,
): Promise<void> {
  const facts = { error: JSON.stringify(error), exit_code: exitCode, restarts };
  // The host's clock may be ahead.
  const first = { deployment_id: deploymentId, since: since < now ? since : now, heard_at: now, told_at: null };
  await db
    .insertInto('down_app')
    .values({ environment_id: environmentId, ...facts, ...first })
    .onConflict((conflict) => conflict.column('environment_id').doUpdateSet(facts))
    .execute();
}

export async function setDownTold(db: Db, environmentId: string, now: string): Promise<void> {
  await db.updateTable('down_app').set({ told_at: now }).where('environment_id', '=', environmentId).execute();
}

export async function deleteDown(db: Db, environmentId: string): Promise<void> {
  await db.deleteFrom('down_app').where('environment_id', '=', environmentId).execute();
}

/** Without a notice: a new machine has taken the place of the host. */
export async function forgetDownOfHost(db: Db, hostId: string): Promise<void> {
  const placed = db.selectFrom('environment').select('id').where('host_id', '=', hostId);
  await db.deleteFrom('down_app').where('environment_id', 'in', placed).execute();
}
