/** The known state of a deployment, and how each event changes it. Pure. */
import type { DeploymentStatus } from '../../../../protocol/agent-link.ts';
import type { Deployment, DeploymentDetail, DeploymentEvent, Step } from '../../../api/schemas.ts';
import type { StepName } from '../../../../protocol/steps.ts';

/** The order of the pipeline (protocol/steps.ts, which the console does not bundle). */
export const STEPS = [
  'clone',
  'analyze',
  'build',
  'deploy',
  'health',
  'cutover',
  'finalize',
] as const satisfies readonly StepName[];

export interface Progress {
  readonly deployment: Deployment;
  readonly steps: ReadonlyMap<StepName, Step>;
  /** The stream has ended. */
  readonly streamEnded: boolean;
}

export const startProgress = (deployment: Deployment, steps: readonly Step[]): Progress => ({
  deployment,
  steps: new Map(steps.map((step) => [step.name, step])),
  streamEnded: false,
});

/** The progress after an event. Log events change nothing here: their bytes go to the log buffers. */
export function fold(progress: Progress, event: DeploymentEvent): Progress {
  if (event.kind === 'status') return { ...progress, deployment: newer(progress.deployment, event.deployment) };
  if (event.kind === 'step') {
    const step = newerStep(progress.steps.get(event.step.name), event.step);
    return { ...progress, steps: new Map(progress.steps).set(step.name, step) };
  }
  return event.kind === 'end' ? { ...progress, streamEnded: true } : progress;
}

/**
 * The progress after a refetch, which may have overlapped with events. A deployment that was assumed lost and runs
 * again has a stream again.
 */
export function refresh(progress: Progress, detail: DeploymentDetail): Progress {
  const steps = detail.steps.map((step): DeploymentEvent => ({ kind: 'step', step }));
  const fetched = [{ kind: 'status' as const, deployment: detail }, ...steps].reduce(fold, progress);
  return { ...fetched, streamEnded: fetched.streamEnded && hasEnded(fetched.deployment) };
}

/** Order of the statuses; all others rank between `running` and `superseded`. */
const RANK: Partial<Record<DeploymentStatus, number>> = { queued: 0, running: 1, superseded: 3 };
const rankOf = (deployment: Deployment): number => (isTakenForLost(deployment) ? 1 : (RANK[deployment.status] ?? 2));

/** Its host is offline: the deployment may resume when it reconnects, so it has not ended. */
const isTakenForLost = ({ status, error }: Deployment): boolean =>
  status === 'failed' && error?.code === 'ORK_HOST_LOST';

/** A stream is replayed from its start, so an old status may follow a newer one that was fetched. */
const newer = (known: Deployment, heard: Deployment): Deployment => (rankOf(heard) < rankOf(known) ? known : heard);

/** The same for steps. A step that a restarted agent repeats has another start time. */
function newerStep(known: Step | undefined, heard: Step): Step {
  const isReplay = known !== undefined && known.status !== 'running' && known.startedAt === heard.startedAt;
  return isReplay && heard.status === 'running' ? known : heard;
}

export const hasEnded = ({ status }: Pick<Deployment, 'status'>): boolean =>
  status !== 'queued' && status !== 'running';

/** The step to show by default: the failed one, else the running one, else the last one. */
export function stepOfInterest({ steps }: Progress): StepName {
  const known = STEPS.filter((name) => steps.has(name));
  const failed = known.find((name) => steps.get(name)?.status === 'failed');
  const running = known.find((name) => steps.get(name)?.status === 'running');
  return failed ?? running ?? known.at(-1) ?? 'clone';
}
