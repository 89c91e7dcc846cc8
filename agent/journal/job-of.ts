import type { Job } from '../../protocol/job.ts';
import type { DeploymentJournal } from '../deployment/records.ts';

/** The job of a deployment; null if it is no longer kept, or was sealed with a key that is gone. */
export function jobOf(journal: Pick<DeploymentJournal, 'job' | 'payload'>, deploymentId: string): Job | null {
  if (journal.job(deploymentId) === null) return null;
  try {
    return journal.payload(deploymentId);
  } catch {
    return null; // callers can do without, for example with an id in place of a name
  }
}
