/**
 * Decides which deployment runs when. All its state is in the store. Each decision is one transaction; messages are
 * sent after it and repeated on the host's next connection, so a restart loses nothing.
 */
import type { CoreDeps, HostLinks, News, Scheduler } from '../deps.ts';
import { findDeployment, listSent } from '../store/deployments.ts';
import { makeDispatch } from './dispatch.ts';
import { makeEdgeOrders } from './edge-orders.ts';
import { failDeployment, hostLost } from './failure.ts';
import { Forgetting } from './forgetting.ts';
import { leaseBegin, LOST_AFTER_MS, renewLeases, reviveLost } from './lease.ts';
import { Queues } from './queues.ts';
import { makeRequests } from './requests.ts';

interface SchedulerDeps extends CoreDeps {
  readonly links: HostLinks;
  readonly news: News;
}

/** Interval of the check for expired leases, waiting deployments and due removals, ms. */
const SWEEP_MS = 15_000;

export function makeScheduler(
  deps: SchedulerDeps,
  { sweepMs = SWEEP_MS }: { readonly sweepMs?: number } = {},
): Scheduler & { sweep(): Promise<void>; forgotten(): Promise<void> } {
  const { db, uptime, links, news, log } = deps;
  const dispatch = makeDispatch(deps);
  const edgeOrders = makeEdgeOrders(deps);
  const queues = new Queues({ ...deps, dispatch });
  const forgetting = new Forgetting(deps);
  const requests = makeRequests({ ...deps, dispatch, queues, forgetting });
  let timer: NodeJS.Timeout | undefined;

  /** Revives deployments that were assumed lost, before anything else can be sent to that host. */
  async function hostReturns(hostId: string, running: readonly string[]): Promise<void> {
    await renewLeases(deps, hostId, running);
    for (const id of running) if (await reviveLost(deps, hostId, id)) news.publish(id);
  }

  async function hostConnected(hostId: string, running: readonly string[]): Promise<void> {
    const sent = await listSent(db, hostId);
    await renewLeases(
      deps,
      hostId,
      sent.map(({ id }) => id),
    );
    for (const deployment of sent) {
      // A host that already has the job recognizes its id; a host that lost the message gets it now.
      if (running.includes(deployment.id)) await dispatch.repeatCancel(deployment.id);
      else if (!(await queues.send(deployment.id))) await queues.settleAll([deployment.environment_id]);
    }
    await dispatch.removals(hostId);
    await edgeOrders.send({ hostId });
    await queues.settleWaiting(hostId);
  }

  async function sweep(): Promise<void> {
    for (const deployment of await listSent(db)) {
      if (uptime.elapsed(leaseBegin(deployment.lease_expires_at)) <= LOST_AFTER_MS) continue;
      if (links.isOnline(deployment.host_id)) {
        // Connected but not renewing: the host does not have the job. A repeated job cannot start a second deployment.
        await renewLeases(deps, deployment.host_id, [deployment.id]);
        if (await queues.send(deployment.id)) continue;
      } else {
        await failDeployment(deps, deployment.id, hostLost(), deployment.lease_expires_at);
      }
      await queues.settleAll([deployment.environment_id]);
    }
    await queues.settleWaiting();
    await dispatch.dueRemovals();
    // A host that failed to store the settings does not retry by itself.
    await edgeOrders.send({});
  }

  return {
    ...requests,
    async start() {
      await queues.settleWaiting();
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.error({ err: error }, 'looking at leases and removals failed'));
      }, sweepMs).unref();
    },
    async stop() {
      clearInterval(timer);
      await forgetting.stop();
    },
    async handOn(id) {
      const deployment = await findDeployment(db, id);
      if (deployment !== undefined && !(await queues.send(id))) await queues.settle(deployment.environment_id);
    },
    hostReturns,
    hostConnected,
    renewLeases: (hostId, ids) => renewLeases(deps, hostId, ids),
    settle: (environmentId) => queues.settle(environmentId),
    edgeChanged: (environmentId) => edgeOrders.send({ environmentId }),
    edgeHeard: (hostId, heard) => edgeOrders.heard(hostId, heard),
    sweep,
    forgotten: () => forgetting.idle(),
  };
}
