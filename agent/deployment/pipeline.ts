/** THE ordered list of steps, why they come in this order, and how long each may take. */
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ReleaseJob, Settings } from '../../protocol/job.ts';
import type { StepName } from '../../protocol/steps.ts';
import { checkSeconds } from '../probe/index.ts';
import { drainLimitSeconds } from './drain.ts';
import { mayPull, REGISTRY_SECONDS } from './image.ts';
import { holdSeconds } from './hold.ts';
import { isTargetUp } from './target.ts';
import type { Step, StepContext } from './step.ts';
import { analyze } from './steps/analyze.ts';
import { build } from './steps/build.ts';
import { clone } from './steps/clone.ts';
import { cutover, hasFlipped } from './steps/cutover.ts';
import { deploy } from './steps/deploy.ts';
import { finalize } from './steps/finalize.ts';
import { health } from './steps/health.ts';

interface Stage<N extends StepName = StepName> {
  readonly step: Step<N>;
  /** Time limit of one run, seconds. For a step with a limit of its own, this is longer: its own error says more. */
  readonly seconds: (job: ReleaseJob) => number;
  /** Code of the error when the time is up. */
  readonly timeoutCode: ErrorCode;
}

/** A step of any name, as the runner sees it: it keeps name and output together. */
export type AnyStage = { [N in StepName]: Stage<N> }[StepName];

export interface Pipeline {
  readonly stages: readonly AnyStage[];
  /** Whether the flip of this deployment is done. Throws if the proxy does not answer. */
  hasFlipped(context: StepContext): Promise<boolean>;
  /** Whether the container that step deploy started still runs at the same address. */
  isTargetUp(context: StepContext): Promise<boolean>;
}

const registrySeconds = ({ registry }: Settings): number => (registry === undefined ? 0 : REGISTRY_SECONDS);

export const PIPELINE: Pipeline = {
  stages: [
    // First the code: every other step reads it, and a wrong commit or missing access must cost nothing more.
    { step: clone, seconds: () => 600, timeoutCode: 'ORK_CLONE_FAILED' },
    // Then what it is: cheap, and rejects what cannot be built before the sandbox starts.
    { step: analyze, seconds: () => 120, timeoutCode: 'ORK_ANALYSIS_LIMIT' },
    // The long one, before anything runs: a failed build leaves no container behind. The sandbox enforces the limit of
    // the settings; the rest is for starting it and moving the image.
    {
      step: build,
      seconds: ({ settings }) => settings.build.timeoutSeconds + 300 + registrySeconds(settings),
      timeoutCode: 'ORK_BUILD_TIMEOUT',
    },
    // Beside the old one, not instead of it: until the flip nothing changes for visitors. On hosts without room for
    // two, requests are held from here to the flip; if the image is not here yet, it is pulled before that.
    {
      step: deploy,
      seconds: (job) => 180 + holdSeconds(job.settings) + (mayPull(job) ? REGISTRY_SECONDS : 0),
      timeoutCode: 'ORK_ENGINE_TIMEOUT',
    },
    // Before the flip, because only a target that has answered may serve. A worker answers nobody: it has to run.
    { step: health, seconds: ({ settings }) => checkSeconds(settings.healthCheck) + 60, timeoutCode: 'ORK_UNHEALTHY' },
    // The point of no return, unless the new target goes bad at once: before it a failure undoes everything, after it
    // we only go forward. It drains the old target, so that the next step may stop it; or the new one, after a flip
    // back.
    {
      step: cutover,
      seconds: ({ settings }) => settings.watchSeconds + 2 * drainLimitSeconds(settings) + 120,
      timeoutCode: 'ORK_CUTOVER_FAILED',
    },
    // Last, when no request can reach the old container any more.
    { step: finalize, seconds: ({ settings }) => settings.stopGraceSeconds + 300, timeoutCode: 'ORK_ENGINE_TIMEOUT' },
  ],
  hasFlipped,
  isTargetUp,
};
