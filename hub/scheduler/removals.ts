/** Deleted environments whose removal from their hosts is outstanding, however long these are offline. */
import { randomUUIDv7 } from 'node:crypto';
import type { Db } from '../store/database.ts';
import { listSent, type SentDeployment } from '../store/deployments.ts';
import { deleteEnvironment, listEnvironments } from '../store/environments.ts';
import { notFound } from '../store/not-found.ts';
import { deleteProject } from '../store/projects.ts';
import type { Row } from '../store/schema.ts';

/** Removals sent at once; the rest follows with a later repetition. */
const MOST_AT_ONCE = 1000;

/** A deleted environment, whose hosts must be notified. */
export interface Removed {
  /** Hosts of the environment: the host that served it, and those that built for it. */
  readonly hostIds: readonly string[];
  /** Its deployments that still run on any host. */
  readonly running: readonly SentDeployment[];
}

/**
 * Delete the environment. If anything was ever sent to a host, also store its removal there. Call it in a transaction.
 */
export async function removeEnvironment(db: Db, environmentId: string, now: string): Promise<Removed> {
  const removed = await addRemoval(db, environmentId, now);
  await deleteEnvironment(db, environmentId);
  return removed;
}

/** Delete the project together with its current environments. Call it in a transaction. */
export async function removeProject(db: Db, projectId: string, now: string): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const { id } of await listEnvironments(db, [projectId])) removed.push(await removeEnvironment(db, id, now));
  await deleteProject(db, projectId);
  return removed;
}

async function addRemoval(db: Db, environmentId: string, now: string): Promise<Removed> {
  const found = await db
    .selectFrom('environment')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .selectAll('environment')
    .select(['project.slug as project_slug', 'project.team_id'])
    .where('environment.id', '=', environmentId)
    .executeTakeFirst();
  if (found === undefined) throw notFound('environment', environmentId);
  const sent = await db
    .selectFrom('deployment')
    .select('id')
    .where('environment_id', '=', environmentId)
    .where('sent_at', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (sent === undefined) return { hostIds: [], running: [] };
  const hostIds = [found.host_id, ...(await listBuilders(db, found.team_id, environmentId))];
  const about = {
    project_id: found.project_id,
    project_slug: found.project_slug,
    environment_id: environmentId,
    environment_slug: found.slug,
    // Above all generations ever sent, so that a job that arrives late is stale.
    generation: found.generation + 1,
    created_at: now,
  };
  const removals = hostIds.map((host_id) => ({ id: randomUUIDv7(), host_id, ...about }));
  await db.insertInto('removal').values(removals).execute();
  const running = (await listSent(db)).filter(({ environment_id }) => environment_id === environmentId);
  return { hostIds, running };
}

/** Hosts of the team that built for the environment without serving it: they also keep what a build leaves behind. */
async function listBuilders(db: Db, teamId: string, environmentId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('host')
    .select('host.id')
    .where('team_id', '=', teamId)
    .where((where) =>
      where.exists(
        where
          .selectFrom('deployment')
          .select('deployment.id')
          .where('environment_id', '=', environmentId)
          .whereRef('build_host_id', '=', 'host.id')
          .limit(1),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}

export function listRemovals(db: Db, hostId: string): Promise<Row<'removal'>[]> {
  return db.selectFrom('removal').selectAll().where('host_id', '=', hostId).orderBy('id').limit(MOST_AT_ONCE).execute();
}

/** Hosts with outstanding removals. */
export async function listRemovalHosts(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('removal').select('host_id').distinct().execute();
  return rows.map(({ host_id }) => host_id);
}

export function findRemoval(db: Db, hostId: string, id: string): Promise<Row<'removal'> | undefined> {
  return db.selectFrom('removal').selectAll().where('id', '=', id).where('host_id', '=', hostId).executeTakeFirst();
}

/** The host reported that the removal is done. */
export async function deleteRemoval(db: Db, id: string): Promise<void> {
  await db.deleteFrom('removal').where('id', '=', id).execute();
}
