/** The contract of a step. Timing, logging, time limits, journal and events live once, in runner.ts. */
import type { EdgePart } from '../../protocol/edge-order.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import type { StepName, StepOutputs } from '../../protocol/steps.ts';
import type { Ports, StepLog } from './ports.ts';

export interface StepContext {
  readonly job: ReleaseJob;
  /** What an earlier step left; throws ORK_INTERNAL when it has not run. */
  readonly output: <N extends StepName>(step: N) => StepOutputs[N];
  /** The deployment that is live in this environment now, or null, and the port that it found. From the journal. */
  readonly previous: { readonly deploymentId: string; readonly foundPort?: number | null } | null;
  readonly ports: Ports;
  readonly signal: AbortSignal;
  /** Its environment is to go from the host: visitors who are still there are not worth a wait. */
  readonly removal: AbortSignal;
  /** Says that the step only waits from here on, so that another deployment may run meanwhile; more than once is fine. */
  readonly leaveSlot: () => void;
  /** What the flip puts into the proxy's table beside the target: newer settings may have come since the job. */
  readonly edge: () => EdgePart;
  /** Of a deployment of this environment; null where the journal has none, which then is an old one. */
  readonly generationOf: (deploymentId: string) => number | null;
  /** It has taken over before, and there is no way back from it. */
  readonly isLive: boolean;
  /** Says that visitors stay on this deployment: it is looked after as what is live, however long the step goes on. */
  readonly takeOver: () => void;
  readonly log: StepLog;
}

export interface Step<N extends StepName> {
  /** Stored in the journal: never rename, never reuse. */
  readonly name: N;
  /** May run again after a crash: finds its own earlier effect instead of repeating it. */
  run(context: StepContext): Promise<StepOutputs[N]>;
  /** Takes back what `run` made. Safe without a prior run, safe twice. Only called before the flip. */
  undo?(context: StepContext): Promise<void>;
}

/** Names of everything a deployment makes on a host, derived from ids so that a lost result can be found again. */
export const names = {
  container: (deploymentId: string): string => `orkestr-${deploymentId}`,
  image: (environmentId: string, deploymentId: string): string => `orkestr/${environmentId}:${deploymentId}`,
  network: (projectId: string): string => `orkestr-${projectId}`,
} as const;
