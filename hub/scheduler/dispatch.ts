/** Sends signed jobs, cancels and removals to hosts. */
import { HubMessage, MAX_FRAME_BYTES } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { signJob } from '../../protocol/signing.ts';
import type { CoreDeps, HostLinks } from '../deps.ts';
import { type DeploymentContext, findDeployment } from '../store/deployments.ts';
import { makeJob, makeRemoveJob } from './job.ts';
import { LEASE_SECONDS } from './lease.ts';
import { listRemovalHosts, listRemovals } from '../store/removals.ts';

export interface Dispatch {
  /** @throws OrkestrError when no job can be made of the deployment */
  job(context: DeploymentContext): Promise<void>;
  /**
   * Repeats a cancel that was sent while the job was being made: a host ignores a cancel for a job that it does not
   * have yet.
   */
  repeatCancel(id: string): Promise<void>;
  /** Sends all outstanding removals to a host. Repeated on each connection until the host confirms them. */
  removals(hostId: string): Promise<void>;
  /** Repeats the removals to connected hosts after a pause, so that a host retries failed ones. */
  dueRemovals(): Promise<void>;
}

/** Pause before removals are repeated to a host, ms. */
const REMOVALS_PAUSE_MS = 10 * 60_000;

export function makeDispatch(deps: CoreDeps & { readonly links: HostLinks }): Dispatch {
  const { db, clock, uptime, links } = deps;
  const removalsSentAt = new Map<string, number>();
  const send = (hostId: string, job: Job): void => {
    const message: HubMessage = {
      type: 'job',
      envelope: signJob(job, deps.hubKey.privateKey),
      leaseSeconds: LEASE_SECONDS,
    };
    mustFit(message);
    links.send(hostId, message);
  };
  const removals = async (hostId: string): Promise<void> => {
    removalsSentAt.set(hostId, clock.now().getTime());
    for (const removal of await listRemovals(db, hostId)) send(hostId, makeRemoveJob(removal, clock.now()));
  };
  return {
    async job(context) {
      send(context.deployment.host_id ?? context.environment.host_id, await makeJob(deps, context));
    },
    async repeatCancel(id) {
      const deployment = await findDeployment(db, id);
      if (deployment === undefined || deployment.host_id === null || deployment.cancel_requested === 0) return;
      links.send(deployment.host_id, { type: 'cancel', deploymentId: id });
    },
    removals,
    async dueRemovals() {
      for (const hostId of await listRemovalHosts(db)) {
        const sentAt = removalsSentAt.get(hostId);
        const isDue = sentAt === undefined || uptime.elapsed(sentAt) >= REMOVALS_PAUSE_MS;
        if (isDue && links.isOnline(hostId)) await removals(hostId);
      }
    },
  };
}

/** Rejects messages that would make the agent close the connection. @throws OrkestrError ORK_TOO_LARGE */
export function mustFit(message: HubMessage): void {
  if (Buffer.byteLength(JSON.stringify(message)) <= MAX_FRAME_BYTES && HubMessage.safeParse(message).success) return;
  throw new OrkestrError(
    'ORK_TOO_LARGE',
    'Variables, settings and release together exceed the limit of a job, 900,000 bytes.',
  );
}
