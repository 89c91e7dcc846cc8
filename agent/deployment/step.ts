/** The contract of a step. Timing, logging, time limits and journaling are implemented once, in step-run.ts. */
import type { EdgePart } from '../../protocol/edge-order.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import type { Ports, StepLog } from './ports.ts';

export interface StepContext {
  readonly job: ReleaseJob;
  /** The output of an earlier step. Throws ORK_INTERNAL if it has not run. */
  readonly output: <N extends StepName>(step: N) => StepOutputs[N];
  /**
   * The deployment that was live here when this one started, the port that it found, and whether it is a worker; or
   * null. From the journal.
   */
  readonly previous: {
    readonly deploymentId: string;
    readonly foundPort?: number | null;
    readonly isWorker?: boolean;
  } | null;
  readonly ports: Ports;
  readonly signal: AbortSignal;
  /** The environment is being removed from the host: visitors who are still there are not worth a wait. */
  readonly removal: AbortSignal;
  /** The step only waits from here on, so another deployment may run meanwhile. May be called more than once. */
  readonly leaveSlot: () => void;
  /** What the flip puts into the proxy's table besides the target: settings newer than the job may have come. */
  readonly edge: () => EdgePart;
  /**
   * Generation of a deployment of this environment; null if the journal does not have it, which means that it is old.
   */
  readonly generationOf: (deploymentId: string) => number | null;
  /** The deployment has taken over before, and there is no way back from it. */
  readonly isLive: boolean;
  /** Visitors stay on this deployment: from now on it is looked after as live, however long the step takes. */
  readonly takeOver: () => void;
  readonly log: StepLog;
}

export interface Step<N extends StepName> {
  /** Stored in the journal: never rename, never reuse. */
  readonly name: N;
  /** May run again after a crash: it then finds its own earlier effect instead of repeating it. */
  run(context: StepContext): Promise<StepOutputs[N]>;
  /** Undoes what `run` made. Safe without a prior run; idempotent. Only called before the flip. */
  undo?(context: StepContext): Promise<void>;
}

/** Names of everything that a deployment makes on a host, derived from ids so that a lost result can be found again. */
export const names = {
  container: (deploymentId: string): string => `orkestr-${deploymentId}`,
  image: (environmentId: string, deploymentId: string): string => `orkestr/${environmentId}:${deploymentId}`,
  network: (projectId: string): string => `orkestr-${projectId}`,
} as const;
