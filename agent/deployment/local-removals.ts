/**
 * An environment that the hub does not know any more, as it was put back from a backup, is removed on the host itself: by the
 * remove job that the hub would send. The hub passes over what it hears of it.
 */
import { randomUUIDv7 } from 'node:crypto';
import { OrkestrError } from '../../protocol/errors.ts';
import { HUB_UPSTREAM } from '../../protocol/hub-upstream.ts';
import { JOB_VERSION } from '../../protocol/job.ts';
import type { RemoveJob } from '../../protocol/job.ts';
import { isEnded } from './deployment.ts';
import type { Ports } from './ports.ts';
import type { DeploymentJournal, JobIntake, JobRecord } from './records.ts';

/** What the hub calls things is not asked: a removal goes by ids. */
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
   * @returns the id of the removal: of the one that is under way, where there is one
   * @throws OrkestrError ORK_NOT_FOUND when this host has nothing of that environment; what engine or proxy say
   */
  begin(environmentId: string): Promise<string>;
  /** @returns the error that it failed with, or how it stands @throws OrkestrError ORK_NOT_FOUND */
  standing(removalId: string): Pick<JobRecord, 'error'> & { readonly ended: boolean };
}

/** Removals that are ordered on the host itself. Beginning one throws ORK_NOT_FOUND for what is not there. */
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
        // No new number: where the hub knows the environment after all, its next deployment is not to meet its own.
        generation: Math.max(1, journal.nextGeneration(environmentId) - 1),
        hostId,
        issuedAt: new Date(ports.clock.now()).toISOString(),
        project: { id: projectId, slug: NAMELESS },
        environment: { id: environmentId, slug: NAMELESS },
      });
      return deploymentId;
    },
    standing(removalId) {
      const job = journal.job(removalId);
      if (job?.kind !== 'remove') throw new OrkestrError('ORK_NOT_FOUND', 'This host has no such removal.');
      return { ended: isEnded(job.state), error: job.error };
    },
  };
}

/** Of the environment: its network goes when no other one is in it. */
async function projectOf({ journal, ports }: LocalRemovalParts, environmentId: string): Promise<string> {
  const place = journal.places().find((one) => one.environmentId === environmentId);
  if (place) return place.projectId;
  const container = (await ports.containers.list()).find((one) => one.environmentId === environmentId);
  if (container) return container.projectId;
  const { upstreams } = await ports.proxy.table();
  // A route alone: nobody knows its project, so it has no network either.
  if (environmentId !== HUB_UPSTREAM && upstreams.some(({ id }) => id === environmentId)) return environmentId;
  throw new OrkestrError('ORK_NOT_FOUND', `This host has no environment ${environmentId}.`);
}
