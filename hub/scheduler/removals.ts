/** Deletes environments and projects, in the hub and on their hosts, however long these are offline. */
import { randomUUIDv7 } from 'node:crypto';
import type { Db } from '../store/database.ts';
import { listSent, type SentDeployment, wasEverSent } from '../store/deployments.ts';
import { deleteEnvironment, getEnvironmentById, listEnvironments } from '../store/environments.ts';
import { listBuilders } from '../store/hosts.ts';
import { deleteProject } from '../store/projects.ts';
import { insertRemovals } from '../store/removals.ts';

/** A deleted environment, whose hosts must be notified. */
export interface Removed {
  /** Hosts of the environment: the host that served it, and those that built for it. */
  readonly hostIds: readonly string[];
  /** Its deployments that still run on any host. */
  readonly running: readonly SentDeployment[];
}

/**
 * Deletes the environment. If anything was ever sent to a host, also stores its removal there. Call it in a
 * transaction.
 */
export async function removeEnvironment(db: Db, environmentId: string, now: string): Promise<Removed> {
  const removed = await addRemoval(db, environmentId, now);
  await deleteEnvironment(db, environmentId);
  return removed;
}

/** Deletes the project together with its current environments. Call it in a transaction. */
export async function removeProject(db: Db, projectId: string, now: string): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const { id } of await listEnvironments(db, [projectId])) removed.push(await removeEnvironment(db, id, now));
  await deleteProject(db, projectId);
  return removed;
}

async function addRemoval(db: Db, environmentId: string, now: string): Promise<Removed> {
  const { project, environment } = await getEnvironmentById(db, environmentId);
  if (!(await wasEverSent(db, environmentId))) return { hostIds: [], running: [] };
  // Those that only built for it also keep what a build leaves behind.
  const hostIds = [environment.host_id, ...(await listBuilders(db, project.team_id, environmentId))];
  const about = {
    project_id: project.id,
    project_slug: project.slug,
    environment_id: environmentId,
    environment_slug: environment.slug,
    // Above all generations ever sent, so that a job that arrives late is stale.
    generation: environment.generation + 1,
    created_at: now,
  };
  await insertRemovals(
    db,
    hostIds.map((host_id) => ({ id: randomUUIDv7(), host_id, ...about })),
  );
  const running = (await listSent(db)).filter(({ environment_id }) => environment_id === environmentId);
  return { hostIds, running };
}
