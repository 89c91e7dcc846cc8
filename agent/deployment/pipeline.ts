/** THE ordered list of steps, why they come in this order, and how long each may take. */
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ReleaseJob, Settings } from '../../protocol/job.ts';
import type { StepName } from '../../protocol/steps.ts';
import { drainLimitSeconds } from './drain.ts';
import { mayPull, REGISTRY_SECONDS } from './image.ts';
import { holdSeconds } from './hold.ts';
import { stands } from './standing.ts';
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
  /** Time limit of one run, seconds. Steps that have a limit of their own get some more here: they know the better reason. */
  readonly seconds: (job: ReleaseJob) => number;
  /** What it is called when the time is up. */
  readonly timeoutCode: ErrorCode;
}

/** A step of any name, as the runner sees it: it keeps name and output together. */
export type AnyStage = { [N in StepName]: Stage<N> }[StepName];

export interface Pipeline {
  readonly stages: readonly AnyStage[];
  /** Whether the flip of this deployment is done. Throws when the proxy does not tell. */
  hasFlipped(context: StepContext): Promise<boolean>;
  /** Whether what the step deploy has started still runs where it did. */
  stands(context: StepContext): Promise<boolean>;
}

/** Names of the steps whose outputs a release keeps: a rollback with its image on the host does not repeat them. */
export const STEPS_OF_A_RELEASE = ['clone', 'analyze', 'build'] as const satisfies readonly StepName[];

const registrySeconds = ({ registry }: Settings): number => (registry === undefined ? 0 : REGISTRY_SECONDS);

export const PIPELINE: Pipeline = {
  stages: [
    // First the code: everything else reads it, and a wrong commit or no access must cost nothing else.
    { step: clone, seconds: () => 600, timeoutCode: 'ORK_CLONE_FAILED' },
    // Then what it is: cheap, and it refuses what cannot be built before the sandbox is started.
    { step: analyze, seconds: () => 120, timeoutCode: 'ORK_ANALYSIS_LIMIT' },
    // The long one, before anything that runs: a failing build leaves no container behind. The sandbox keeps the limit of
    // the settings; what comes on top is for starting it and moving the image.
    {
      step: build,
      seconds: ({ settings }) => settings.build.timeoutSeconds + 300 + registrySeconds(settings),
      timeoutCode: 'ORK_BUILD_TIMEOUT',
    },
    // Beside the old one, not instead of it: until the flip nothing changes for visitors. On hosts without room for two they
    // wait from here to the flip; a pull, where the image is not here yet, comes before that.
    {
      step: deploy,
      seconds: (job) => 180 + holdSeconds(job.settings) + (mayPull(job) ? REGISTRY_SECONDS : 0),
      timeoutCode: 'ORK_ENGINE_TIMEOUT',
    },
    // Before the flip, because only a target that answered may serve.
    { step: health, seconds: ({ settings }) => settings.healthCheck.startSeconds + 60, timeoutCode: 'ORK_UNHEALTHY' },
    // The point of no return, unless the new target goes bad at once: before it all is undone on failure, after it we only
    // go forward. It drains the old target, so that the next step may stop it; or the new one, after a flip back.
    {
      step: cutover,
      seconds: ({ settings }) => settings.watchSeconds + 2 * drainLimitSeconds(settings) + 120,
      timeoutCode: 'ORK_CUTOVER_FAILED',
    },
    // Last, when no request can reach the old container any more.
    { step: finalize, seconds: ({ settings }) => settings.stopGraceSeconds + 300, timeoutCode: 'ORK_ENGINE_TIMEOUT' },
  ],
  hasFlipped,
  stands,
};
