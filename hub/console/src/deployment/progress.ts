/** What is known of a deployment, and how each event changes it. Pure. */
import type { DeploymentStatus } from '../../../../protocol/agent-link.ts';
import type { Deployment, DeploymentDetail, DeploymentEvent, Step } from '../../../api/schemas.ts';
import type { StepName } from '../../../../protocol/steps.ts';

/** The order of the pipeline (protocol/steps.ts, which the console does not carry along). */
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
  /** Nothing more comes by its stream. */
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
 * The progress after the deployment was fetched again, which may have been on its way while events came in. One that was taken for lost
 * and runs again has a stream again.
 */
export function refresh(progress: Progress, detail: DeploymentDetail): Progress {
  const steps = detail.steps.map((step): DeploymentEvent => ({ kind: 'step', step }));
  const fetched = [{ kind: 'status' as const, deployment: detail }, ...steps].reduce(fold, progress);
  return { ...fetched, streamEnded: fetched.streamEnded && hasEnded(fetched.deployment) };
}

/** How far along a status is; every other comes between `running` and `superseded`. */
const RANK: Partial<Record<DeploymentStatus, number>> = { queued: 0, running: 1, superseded: 3 };
const rankOf = (deployment: Deployment): number => (isTakenForLost(deployment) ? 1 : (RANK[deployment.status] ?? 2));

/** Its host is away: it runs on when that is back, and has not ended. */
const isTakenForLost = ({ status, error }: Deployment): boolean =>
  status === 'failed' && error?.code === 'ORK_HOST_LOST';

/** A stream is replayed from its start, so an old status may come after the newer one that was fetched. */
const newer = (known: Deployment, heard: Deployment): Deployment => (rankOf(heard) < rankOf(known) ? known : heard);

/** The same for steps; one that a restarted agent runs again has begun at another time. */
function newerStep(known: Step | undefined, heard: Step): Step {
  const isReplay = known !== undefined && known.status !== 'running' && known.startedAt === heard.startedAt;
  return isReplay && heard.status === 'running' ? known : heard;
}

export const hasEnded = ({ status }: Pick<Deployment, 'status'>): boolean =>
  status !== 'queued' && status !== 'running';

/** The step to look at when the reader has chosen none: the one that failed, else that runs, else the last that ran. */
export function stepOfInterest({ steps }: Progress): StepName {
  const known = STEPS.filter((name) => steps.has(name));
  const failed = known.find((name) => steps.get(name)?.status === 'failed');
  const running = known.find((name) => steps.get(name)?.status === 'running');
  return failed ?? running ?? known.at(-1) ?? 'clone';
}
