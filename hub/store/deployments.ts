/** Deployments: rows and their status changes. scheduler/ and agents/ decide which change is right. */
import type { NotNull } from 'kysely';
import type { DeploymentStatus } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Db } from './database.ts';
import { addStatusEvent } from './events.ts';
import { notFound } from './not-found.ts';
import type { Row, Trigger } from './schema.ts';

/** The statuses of a deployment that has not ended. */
export const OPEN = ['queued', 'running'] as const satisfies readonly DeploymentStatus[];

export const isOpen = (deployment: Pick<Row<'deployment'>, 'status'>): boolean =>
  (OPEN as readonly string[]).includes(deployment.status);

/** A deployment with the rows needed to show or send it. */
export interface DeploymentContext {
  readonly deployment: Row<'deployment'>;
  readonly environment: Row<'environment'>;
  readonly project: Row<'project'>;
}

/** A request for a deployment; the caller has validated it. */
export interface DeploymentRequest {
  readonly environmentId: string;
  readonly trigger: Trigger;
  readonly commit: string;
  readonly branch: string;
  readonly userId: string | null;
  /** Only for rollbacks: the deployment whose release is wanted, and which variables to use. */
  readonly rollback?: { readonly releaseOf: string; readonly variables: 'current' | 'release' };
}

/**
 * Stores a new, waiting deployment under the environment's next generation. Call it in a transaction.
 * @throws OrkestrError ORK_NOT_FOUND when the environment is gone
 */
export async function insertDeployment(
  db: Db,
  id: string,
  request: DeploymentRequest,
  now: string,
): Promise<Row<'deployment'>> {
  const environment = await db
    .updateTable('environment')
    .set((row) => ({ generation: row('generation', '+', 1) }))
    .where('id', '=', request.environmentId)
    .returning(['generation', 'env_version'])
    .executeTakeFirst();
  if (environment === undefined) throw notFound('environment', request.environmentId);
  const deployment = await db
    .insertInto('deployment')
    .values({
      id,
      environment_id: request.environmentId,
      kind: request.rollback === undefined ? 'deploy' : 'rollback',
      trigger: request.trigger,
      status: 'queued',
      generation: environment.generation,
      commit: request.commit,
      branch: request.branch,
      user_id: request.userId,
      env_version: environment.env_version,
      release_of: request.rollback?.releaseOf ?? null,
      variables: request.rollback?.variables ?? 'current',
      cancel_requested: 0,
      created_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await addStatusEvent(db, deployment);
  return deployment;
}

/**
 * Raises the generation of a deployment, of all later ones in its environment, and of the environment itself, by the
 * same amount. Call it in a transaction.
 */
export async function raiseGenerations(
  db: Db,
  { environment_id, generation }: Pick<Row<'deployment'>, 'environment_id' | 'generation'>,
  to: number,
): Promise<void> {
  const by = Math.max(0, to - generation);
  await db
    .updateTable('deployment')
    .set((row) => ({ generation: row('generation', '+', by) }))
    .where('environment_id', '=', environment_id)
    .where('generation', '>=', generation)
    .execute();
  await db
    .updateTable('environment')
    .set((row) => ({ generation: row('generation', '+', by) }))
    .where('id', '=', environment_id)
    .execute();
}

/** Changes the status and related columns, and writes the event. Call it in a transaction. */
export async function changeStatus(
  db: Db,
  id: string,
  change: {
    readonly status: DeploymentStatus;
    readonly error?: ErrorReport | null;
    readonly replaced_by?: string;
    readonly started_at?: string;
    readonly finished_at?: string | null;
    readonly lease_expires_at?: string | null;
  },
): Promise<void> {
  const { error, ...columns } = change;
  const deployment = await db
    .updateTable('deployment')
    .set({ ...columns, ...(error === undefined ? {} : { error: error === null ? null : JSON.stringify(error) }) })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await addStatusEvent(db, deployment);
}

/** Stores the wish; a host that has the job must still be asked. */
export async function requestCancel(db: Db, id: string): Promise<void> {
  await db.updateTable('deployment').set({ cancel_requested: 1 }).where('id', '=', id).execute();
}

/** What is decided about a deployment when its turn comes. */
type Turn = Pick<Row<'deployment'>, 'env' | 'build_secrets' | 'env_version' | 'edge_revision' | 'build_host_id'> &
  Record<'sent_at' | 'host_id' | 'lease_expires_at', string>;

/** Stores that the deployment's job goes to a host. Call it in the transaction that decides it. */
export async function markSent(db: Db, id: string, turn: Turn): Promise<void> {
  await db.updateTable('deployment').set(turn).where('id', '=', id).execute();
}

/** Gives a deployment that another host has built to the host that serves its environment. */
export async function handOver(db: Db, id: string, leaseExpiresAt: string): Promise<void> {
  await db
    .updateTable('deployment')
    .set((row) => ({
      host_id: row
        .selectFrom('environment')
        .select('environment.host_id')
        .whereRef('environment.id', '=', 'deployment.environment_id'),
      lease_expires_at: leaseExpiresAt,
    }))
    .where('id', '=', id)
    .execute();
}

export async function extendLeases(db: Db, ids: readonly string[], expiresAt: string): Promise<void> {
  await db.updateTable('deployment').set({ lease_expires_at: expiresAt }).where('id', 'in', ids).execute();
}

export function findDeployment(db: Db, id: string): Promise<Row<'deployment'> | undefined> {
  return db.selectFrom('deployment').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Number of waiting deployments in an environment that no newer one replaces: all except pushes. */
export async function countKeptWaiting(db: Db, environmentId: string): Promise<number> {
  const { count } = await db
    .selectFrom('deployment')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('environment_id', '=', environmentId)
    .where('status', '=', 'queued')
    .where('sent_at', 'is', null)
    .where('trigger', '!=', 'push')
    .executeTakeFirstOrThrow();
  return count;
}

/** The deployments of an environment that have not ended, by generation. */
export async function listOpen(db: Db, environmentId: string): Promise<Row<'deployment'>[]> {
  const open = await db
    .selectFrom('deployment')
    .selectAll()
    .where('environment_id', '=', environmentId)
    .where('status', 'in', OPEN)
    .execute();
  // Sorted here: for an ordered result, SQLite would choose an index that walks the environment's whole history.
  return open.toSorted(byGeneration);
}

/** The live deployments of an environment. */
export function listLive(db: Db, environmentId: string): Promise<Pick<Row<'deployment'>, 'id' | 'generation'>[]> {
  return db
    .selectFrom('deployment')
    .select(['id', 'generation'])
    .where('environment_id', '=', environmentId)
    .where('status', '=', 'live')
    .execute();
}

/** What became of the preceding deployment that was carried out; undefined if there was none. */
export async function outcomeBefore(
  db: Db,
  { environment_id, generation }: Pick<Row<'deployment'>, 'environment_id' | 'generation'>,
): Promise<DeploymentStatus | undefined> {
  const last = await db
    .selectFrom('deployment')
    .select('status')
    .where('environment_id', '=', environment_id)
    .where('generation', '<', generation)
    .where('status', 'in', ['failed', 'live', 'superseded'])
    .orderBy('generation', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last?.status;
}

/** Oldest first. */
export const byGeneration = (a: Pick<Row<'deployment'>, 'generation'>, b: typeof a): number =>
  a.generation - b.generation;

/** A deployment whose job was sent to a host. */
export type SentDeployment = Row<'deployment'> & { readonly host_id: string };

/** Deployments that were sent to a host and have not ended. */
export function listSent(db: Db, hostId?: string): Promise<SentDeployment[]> {
  return db
    .selectFrom('deployment')
    .selectAll()
    .where('status', 'in', OPEN)
    .where('sent_at', 'is not', null)
    .where('host_id', 'is not', null)
    .$if(hostId !== undefined, (query) => query.where('host_id', '=', hostId ?? ''))
    .orderBy('generation')
    .$narrowType<{ host_id: NotNull }>()
    .execute();
}

/** Whether any deployment of the environment was ever sent to a host. */
export async function wasEverSent(db: Db, environmentId: string): Promise<boolean> {
  const sent = await db
    .selectFrom('deployment')
    .select('id')
    .where('environment_id', '=', environmentId)
    .where('sent_at', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  return sent !== undefined;
}

/** The deployment, if that host has its job. */
export function findOnHost(db: Db, hostId: string, id: string): Promise<Row<'deployment'> | undefined> {
  return db.selectFrom('deployment').selectAll().where('id', '=', id).where('host_id', '=', hostId).executeTakeFirst();
}

/** A page of an environment's history, newest first; `before`: id of the last deployment on the previous page. */
export function listDeployments(
  db: Db,
  environmentId: string,
  page: { readonly limit: number; readonly before?: string | undefined },
): Promise<Row<'deployment'>[]> {
  return db
    .selectFrom('deployment')
    .selectAll()
    .where('environment_id', '=', environmentId)
    .$if(page.before !== undefined, (query) =>
      query.where('generation', '<', (q) =>
        q
          .selectFrom('deployment as last')
          .select('last.generation')
          .where('last.environment_id', '=', environmentId)
          .where('last.id', '=', page.before ?? ''),
      ),
    )
    .orderBy('generation', 'desc')
    .limit(page.limit)
    .execute();
}

/** @throws OrkestrError ORK_NOT_FOUND, also for those of other teams. */
export async function getDeployment(db: Db, teamId: string, id: string): Promise<DeploymentContext> {
  const context = await findContext(db, id);
  if (context?.project.team_id !== teamId) throw notFound('deployment', id);
  return context;
}

/** The deployment with its environment and project. */
export async function findContext(db: Db, id: string): Promise<DeploymentContext | undefined> {
  const deployment = await findDeployment(db, id);
  if (deployment === undefined) return undefined;
  const environment = await db
    .selectFrom('environment')
    .selectAll()
    .where('id', '=', deployment.environment_id)
    .executeTakeFirst();
  const project =
    environment &&
    (await db.selectFrom('project').selectAll().where('id', '=', environment.project_id).executeTakeFirst());
  return environment && project && { deployment, environment, project };
}
