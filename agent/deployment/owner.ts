import type { ReleaseJob } from '../../protocol/job.ts';
import type { Ownership } from './ports.ts';

/** The owner labels of everything that a job makes in the engine. */
export function ownerOf(job: ReleaseJob): Ownership {
  return { deploymentId: job.deploymentId, environmentId: job.environment.id, projectId: job.project.id };
}
