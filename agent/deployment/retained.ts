/** Whether the image of a rollback's release is still on the host or in its registry: then nothing is built. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { RollbackJob } from '../../protocol/job.ts';
import { emptyCheckout, type Release, STEPS_OF_A_BUILD } from '../../protocol/steps.ts';
import { attempt } from './attempt.ts';
import type { StepRecord } from './records.ts';
import { emptyStep, timestampOf } from './run.ts';
import type { Run } from './run.ts';

const LOOK_FOR_IMAGE_MS = 60_000;

/** Where the image is, in words; null if it has to be rebuilt. */
async function findRetained(run: Run, { release, registries }: RollbackJob): Promise<string | null> {
  const { ports, random, log } = run.parts;
  const { id, registryReference } = release.image;
  return attempt({
    async act() {
      if ((await ports.images.find(id)) !== null) return `image of deployment ${release.deploymentId} retained`;
      if (registryReference === undefined) return null;
      const why = await ports.registry.whyMissing(registryReference, registries);
      if (why === null) return `image of deployment ${release.deploymentId} is in its registry`;
      log.info({ deploymentId: run.job.deploymentId, why }, 'the image of a release is not in its registry');
      return null;
    },
    limitMs: LOOK_FOR_IMAGE_MS,
    timeoutError: () => new OrkestrError('ORK_ENGINE_TIMEOUT', 'Docker Engine does not say which images it has.'),
    signal: AbortSignal.any([run.signals.cancel, run.signals.shutdown]),
    clock: ports.clock,
    random,
    onRetry: (error, waitMs) => log.warn({ err: error, waitMs }, 'looking for a retained image'),
  });
}

/** Records of the steps that a release makes unnecessary. @param note where its image is */
function asSkipped(run: Run, release: Pick<Release, 'commit' | 'plan' | 'image'>, note: string): StepRecord[] {
  const startedAt = timestampOf(run.parts.ports);
  const outputs: Record<(typeof STEPS_OF_A_BUILD)[number], unknown> = {
    clone: emptyCheckout(release.commit),
    analyze: release.plan,
    build: release.image,
  };
  return STEPS_OF_A_BUILD.map((name) => ({
    ...emptyStep(name, startedAt),
    state: 'skipped',
    output: outputs[name],
    note,
    ms: 0,
  }));
}

/** Records of the steps that a job skips because of an earlier release. */
export async function skippedStepsOf(run: Run): Promise<StepRecord[]> {
  const { job } = run;
  if (job.kind === 'serve') {
    const { releaseOf } = job.built;
    // For a build made for this deployment, the other host has reported these steps.
    return releaseOf === undefined
      ? []
      : asSkipped(
          run,
          { ...job.built, commit: job.commit },
          `the image of deployment ${releaseOf}, which is not built again`,
        );
  }
  if (job.kind !== 'rollback') return [];
  const retained = await findRetained(run, job);
  return retained === null ? [] : asSkipped(run, job.release, retained);
}
