/** One run of a release job: its state while it goes through the pipeline. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Built, ReleaseJob } from '../../protocol/job.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { StepOutputs } from '../../protocol/steps.ts';
import type { StepName, StepOutputs as Outputs } from '../../protocol/steps.ts';
import { edgeNow } from './edge-now.ts';
import type { Failpoint } from './failpoint.ts';
import type { DeploymentLogs } from './log.ts';
import type { Pipeline } from './pipeline.ts';
import type { Ports, StepLog } from './ports.ts';
import type { DeploymentJournal, DeploymentReport, JobRecord, StepRecord } from './records.ts';
import type { StepContext } from './step.ts';

export interface RunnerParts {
  readonly journal: DeploymentJournal;
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  readonly logs: DeploymentLogs;
  readonly failpoint: Failpoint;
  readonly random: () => number;
  readonly log: Logger;
}

/**
 * Signals between a run and its surroundings. Those that end it from outside: after the flip only the shutdown counts.
 */
export interface RunSignals {
  readonly cancel: AbortSignal;
  readonly shutdown: AbortSignal;
  /** The environment is being removed from the host: nothing of it is waited for any more. */
  readonly removal?: AbortSignal;
  /** Called when the run only waits from there on. May be called more than once. */
  readonly leaveSlot?: () => void;
}

/** The agent is stopping: nothing is recorded, and the journal says where to resume. */
export class Interrupted extends Error {}

export interface Run {
  readonly parts: RunnerParts;
  readonly job: ReleaseJob;
  readonly previousId: string | null;
  /** Port that the live deployment found in place of a guess. */
  readonly foundPort: number | null;
  /** Whether the live deployment is a worker. */
  readonly previousIsWorker?: boolean;
  readonly signals: RunSignals;
  readonly secrets: readonly string[];
  readonly outputs: Map<StepName, unknown>;
}

/**
 * Outputs of the completed steps, validated: the journal of another version must not feed a step unexpected data.
 * Outputs of steps that ran on another host are in the job, and are not reported again.
 */
export function outputsOf(job: ReleaseJob, steps: readonly StepRecord[]): Map<StepName, unknown> {
  const over = steps.filter(({ state }) => state === 'done' || state === 'skipped');
  return new Map([
    ...(job.kind === 'serve' ? outputsOfBuilt(job.built) : []),
    ...over.map(({ name, output }): [StepName, unknown] => [name, StepOutputs[name].parse(output)]),
  ]);
}

const outputsOfBuilt = ({ checkout, plan, image }: Built): [StepName, unknown][] => [
  ['clone', checkout],
  ['analyze', plan],
  ['build', image],
];

/** The part of its run that a step sees. */
export function contextOf(
  run: Pick<Run, 'job' | 'previousId' | 'foundPort' | 'previousIsWorker' | 'outputs'> & {
    parts: Pick<RunnerParts, 'ports'> & { readonly journal: Pick<DeploymentJournal, 'edge' | 'job'> };
    signals?: Pick<RunSignals, 'leaveSlot' | 'removal'>;
    isLive?: boolean;
    takeOver?: () => void;
  },
  log: StepLog,
  signal: AbortSignal,
): StepContext {
  return {
    job: run.job,
    output<N extends StepName>(step: N): Outputs[N] {
      if (!run.outputs.has(step)) throw new OrkestrError('ORK_INTERNAL', `The step ${step} has not run yet.`);
      return run.outputs.get(step) as Outputs[N];
    },
    previous: previousOf(run),
    ports: run.parts.ports,
    signal,
    removal: run.signals?.removal ?? new AbortController().signal,
    leaveSlot: run.signals?.leaveSlot ?? (() => undefined),
    edge: () => edgeNow(run.parts.journal, run.job),
    generationOf: (deploymentId) => run.parts.journal.job(deploymentId)?.generation ?? null,
    isLive: run.isLive === true,
    takeOver: run.takeOver ?? (() => undefined),
    log,
  };
}

function previousOf({
  previousId,
  foundPort,
  previousIsWorker = false,
}: Pick<Run, 'previousId' | 'foundPort' | 'previousIsWorker'>): StepContext['previous'] {
  return previousId === null
    ? null
    : { deploymentId: previousId, foundPort, ...(previousIsWorker && { isWorker: true }) };
}

/**
 * Visitors are on this deployment: its cutover is recorded, or it was adopted after the loss of the journal and its job
 * came again. Nothing of it may be undone then.
 */
export const isPastFlip = ({ parts, job }: Run): boolean =>
  parts.journal.live(job.environment.id)?.deploymentId === job.deploymentId;

export const timestampOf = (ports: Pick<Ports, 'clock'>): string => new Date(ports.clock.now()).toISOString();

/** The status of a deployment from now on, for the hub. @param more its error, or its release */
export const reportOf = (
  { ports }: Pick<RunnerParts, 'ports'>,
  { deploymentId, generation }: Pick<JobRecord, 'deploymentId' | 'generation'>,
  status: DeploymentReport['status'],
  more: Pick<DeploymentReport, 'error' | 'release'> = {},
): DeploymentReport => ({ kind: 'deployment', deploymentId, generation, status, at: timestampOf(ports), ...more });

export const emptyStep = (name: StepName, startedAt: string): StepRecord => ({
  name,
  state: 'begun',
  output: null,
  note: null,
  error: null,
  startedAt,
  ms: null,
  undone: false,
  starts: 1,
});
