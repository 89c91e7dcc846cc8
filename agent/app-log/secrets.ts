/** What the log of a version must not show: the same as the logs of its deployment. */
import type { DeploymentJournal } from '../deployment/records.ts';
import { secretsOf, spellings } from '../deployment/secrets.ts';
import { names } from '../deployment/step.ts';
import { jobOf } from '../journal/job-of.ts';
import { orNull } from '../lib/engine.ts';
import type { Engine } from '../lib/engine.ts';

/** The part of the journal that reading logs needs. */
export type KnownVersions = Pick<DeploymentJournal, 'live' | 'job' | 'payload'>;

/**
 * The secrets of its job, which the journal keeps while the version serves. For a version that drains, or whose job was
 * lost, every value in the environment of its container counts as a secret, including those of its image.
 */
export async function secretsOfVersion(
  engine: Engine,
  journal: KnownVersions,
  deploymentId: string,
): Promise<readonly string[]> {
  const job = jobOf(journal, deploymentId);
  if (job !== null && job.kind !== 'remove') return secretsOf(job);
  const name = names.container(deploymentId);
  const container = await orNull(
    engine.call(`inspect container ${name}`, (docker, abortSignal) =>
      docker.getContainer(name).inspect({ abortSignal }),
    ),
  );
  return (container?.Config.Env ?? []).flatMap((line) => spellings(line.slice(line.indexOf('=') + 1)));
}
