/**
 * Removes an environment that the hub no longer knows because it was restored from a backup. The host runs the remove
 * job that the hub would send; the hub ignores the reports of it.
 */
import { randomUUIDv7 } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import { HUB_UPSTREAM } from '../../protocol/hub-upstream.ts';
import { JOB_VERSION } from '../../protocol/job.ts';
import type { RemoveJob } from '../../protocol/job.ts';
import { isEnded } from './deployment.ts';
import type { Ports } from './ports.ts';
import type { DeploymentJournal, JobIntake, JobRecord } from './records.ts';

/** A removal goes by ids; it does not need the hub's names. */
const NAMELESS = 'unnamed';

interface LocalRemovalParts {
  readonly journal: Pick<DeploymentJournal, 'job'> &
    Pick<JobIntake, 'unfinished' | 'nextGeneration'> & {
      places(): readonly { readonly environmentId: string; readonly projectId: string }[];
    };
  readonly ports: Pick<Ports, 'containers' | 'proxy' | 'clock'>;
  readonly hostId: string;
  accept(job: RemoveJob): void;
}

export interface LocalRemovals {
  /**
   * @returns the id of the removal, or of the one already in progress
   * @throws OrkestrError ORK_NOT_FOUND if this host has nothing of that environment; errors of engine and proxy
   */
  begin(environmentId: string): Promise<string>;
  /** @returns whether it has ended, and the error it failed with @throws OrkestrError ORK_NOT_FOUND */
  status(removalId: string): Pick<JobRecord, 'error'> & { readonly ended: boolean };
}

/** Removals ordered on the host itself. Beginning one throws ORK_NOT_FOUND if there is nothing to remove. */
export function makeLocalRemovals(parts: LocalRemovalParts): LocalRemovals {
  const { journal, ports, hostId } = parts;
  return {
    async begin(environmentId) {
      const projectId = await projectOf(parts, environmentId);
      const underWay = journal.unfinished().find((one) => one.kind === 'remove' && one.environmentId === environmentId);
      if (underWay) return underWay.deploymentId;
      const deploymentId = randomUUIDv7();
      parts.accept({
        version: JOB_VERSION,
        kind: 'remove',
        deploymentId,
        // Not a new generation: if the hub knows the environment after all, its next deployment must not clash with it.
        generation: Math.max(1, journal.nextGeneration(environmentId) - 1),
        hostId,
        issuedAt: new Date(ports.clock.now()).toISOString(),
        project: { id: projectId, slug: NAMELESS },
        environment: { id: environmentId, slug: NAMELESS },
      });
      return deploymentId;
    },
    status(removalId) {
      const job = journal.job(removalId);
      if (job?.kind !== 'remove') throw new OrkestrError('ORK_NOT_FOUND', 'This host has no such removal.');
      return { ended: isEnded(job.state), error: job.error };
    },
  };
}

/** Needed because the project's network goes once no environment uses it. */
async function projectOf({ journal, ports }: LocalRemovalParts, environmentId: string): Promise<string> {
  const place = journal.places().find((one) => one.environmentId === environmentId);
  if (place) return place.projectId;
  const container = (await ports.containers.list()).find((one) => one.environmentId === environmentId);
  if (container) return container.projectId;
  const { upstreams } = await ports.proxy.table();
  // Only a route is left: its project is unknown, and so there is no network to remove.
  if (environmentId !== HUB_UPSTREAM && upstreams.some(({ id }) => id === environmentId)) return environmentId;
  throw new OrkestrError('ORK_NOT_FOUND', `This host has no environment ${environmentId}.`);
}
