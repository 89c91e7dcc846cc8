/**
 * Runs the deployments of each environment one after another. One transaction decides and stores whose turn it is; the
 * job is sent after it.
 */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps, HostLinks, News } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { changeStatus, findContext, listOpen, markSent } from '../store/deployments.ts';
import { getEnvironmentById, listWaitingEnvironments } from '../store/environments.ts';
import type { Row } from '../store/schema.ts';
import type { Dispatch } from './dispatch.ts';
import { failDeployment } from './failure.ts';
import { fixVariables } from './job.ts';
import { leaseEnd } from './lease.ts';
import { type Placement, placeDeployment } from './placement.ts';
import { decideTurn } from './turn.ts';

interface QueueDeps extends CoreDeps {
  readonly links: HostLinks;
  readonly news: News;
  readonly dispatch: Dispatch;
}

interface TakenTurn {
  /** Deployments with news. */
  readonly changed: readonly string[];
  /** The deployment whose job is to be sent. */
  readonly sent?: string;
  /** The deployment whose turn it was, but for which no job can be sent to any host. */
  readonly impossible?: { readonly id: string; readonly error: OrkestrError };
}

/** A deployment whose turn it is. */
type Prepared =
  | (Extract<Placement, { kind: 'placed' }> & { readonly fixed: Awaited<ReturnType<typeof fixVariables>> })
  | Exclude<Placement, { kind: 'placed' }>;

export class Queues {
  readonly #deps: QueueDeps;

  constructor(deps: QueueDeps) {
    this.#deps = deps;
  }

  /** The environment's state changed: start the next deployment if possible. */
  async settle(environmentId: string): Promise<void> {
    const { db, news } = this.#deps;
    // Each round ends at least one deployment, so the loop terminates.
    for (;;) {
      const turn = await db.transaction().execute((trx) => takeTurn(this.#deps, trx, environmentId));
      for (const id of turn.changed) news.publish(id);
      if (turn.impossible !== undefined)
        await failDeployment(this.#deps, turn.impossible.id, toErrorReport(turn.impossible.error));
      else if (turn.sent === undefined || (await this.send(turn.sent))) return;
    }
  }

  /** An environment that fails to settle, for example because of unreadable settings, does not block the others. */
  async settleAll(environmentIds: readonly string[]): Promise<void> {
    for (const environmentId of environmentIds) {
      try {
        await this.settle(environmentId);
      } catch (error) {
        this.#deps.log.error({ err: error, environmentId }, 'the deployments of an environment cannot go on');
      }
    }
  }

  /** Settles all environments with waiting deployments, or those that a host serves or may build for. */
  async settleWaiting(hostId?: string): Promise<void> {
    await this.settleAll(await listWaitingEnvironments(this.#deps.db, hostId));
  }

  /**
   * Sends the deployment's job to its host. False when no job can be made: the deployment has failed then, with the
   * reason.
   */
  async send(id: string): Promise<boolean> {
    const { db, dispatch, log } = this.#deps;
    try {
      const context = await findContext(db, id);
      if (context !== undefined) await dispatch.job(context);
      await dispatch.repeatCancel(id);
      return true;
    } catch (error) {
      log.warn({ err: error, deploymentId: id }, 'no job could be made of the deployment');
      await failDeployment(this.#deps, id, toErrorReport(error));
      return false;
    }
  }
}

async function takeTurn(deps: QueueDeps, trx: Db, environmentId: string): Promise<TakenTurn> {
  const now = deps.clock.now();
  const open = await listOpen(trx, environmentId);
  const turn = decideTurn(open);
  for (const { id, replacedBy } of turn.skip) {
    await changeStatus(trx, id, { status: 'skipped', replaced_by: replacedBy, finished_at: now.toISOString() });
  }
  const changed = turn.skip.map(({ id }) => id);
  const next = open.find(({ id }) => id === turn.next);
  if (next === undefined) return { changed };
  const { environment } = await getEnvironmentById(trx, environmentId);
  const ready = await prepare(deps, trx, next, environment);
  if (ready.kind === 'waits') return { changed };
  if (ready.kind === 'impossible') return { changed, impossible: { id: next.id, error: ready.error } };
  await markSent(trx, next.id, {
    ...ready.fixed,
    edge_revision: environment.edge_revision,
    sent_at: now.toISOString(),
    host_id: ready.hostId,
    build_host_id: ready.buildHostId,
    lease_expires_at: leaseEnd(now),
  });
  return { changed, sent: next.id };
}

/**
 * Chooses the host and fixes the variables. Variables that cannot be decrypted now stay unreadable, so the deployment
 * fails instead of blocking the queue forever.
 */
async function prepare(
  { links, sealer }: QueueDeps,
  trx: Db,
  next: Row<'deployment'>,
  environment: Row<'environment'>,
): Promise<Prepared> {
  try {
    const placement = await placeDeployment(trx, links, next, environment);
    if (placement.kind !== 'placed') return placement;
    return { ...placement, fixed: await fixVariables(trx, sealer, next, environment) };
  } catch (error) {
    // An error of the store itself is temporary: leave the deployment queued.
    if (!(error instanceof OrkestrError)) throw error;
    return { kind: 'impossible', error };
  }
}
