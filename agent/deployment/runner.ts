/**
 * Takes one deployment through the pipeline. Each step records the intent, acts, and records the result, so that after
 * a crash the run resumes at the first step that is not done. A failure or a cancel before the flip undoes what was
 * done, in reverse order; after the flip there is only forward.
 */
import { toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { handOn, stagesOf } from './build-job.ts';
import { isEnded, transition } from './deployment.ts';
import { isLiveWorker } from './records.ts';
import type { JobRecord, StepRecord } from './records.ts';
import { repeatStepsIfStopped } from './resume.ts';
import { removeEnvironment } from './removal.ts';
import { skippedStepsOf } from './retained.ts';
import { Interrupted, outputsOf, reportOf } from './run.ts';
import type { Run, RunnerParts, RunSignals } from './run.ts';
import { secretsOf } from './secrets.ts';
import { advance } from './step-run.ts';
import { takeBack } from './undo.ts';

const INTERRUPTED: ErrorReport = {
  code: 'ORK_INTERRUPTED',
  message: 'The agent was stopped while it was undoing the deployment.',
  evidence: [],
};

/**
 * Runs a deployment from its state in the journal to its end. Failures of the deployment are recorded and reported, not
 * thrown.
 * @throws if the journal itself cannot be read or written; the caller may call again later
 */
export async function runDeployment(parts: RunnerParts, deploymentId: string, signals: RunSignals): Promise<void> {
  const record = parts.journal.job(deploymentId);
  if (!record || isEnded(record.state)) return;
  if (record.state === 'queued' && record.cancelRequested) return endUnstarted(parts, record);
  let payload;
  try {
    payload = parts.journal.payload(deploymentId);
  } catch (error) {
    return endUnreadable(parts, record, toErrorReport(error));
  }
  try {
    if (payload.kind === 'remove') return await removeEnvironment(parts, record, payload, signals);
    await runRelease(parts, record, payload, signals);
  } catch (error) {
    if (error instanceof Interrupted) return;
    throw error;
  }
}

async function runRelease(
  parts: RunnerParts,
  record: JobRecord,
  payload: ReleaseJob,
  signals: RunSignals,
): Promise<void> {
  const run: Run = {
    parts,
    job: payload.kind === 'rollback' ? { ...payload, commit: payload.release.commit } : payload,
    ...liveBefore(parts, record),
    signals,
    secrets: secretsOf(payload),
    outputs: outputsOf(payload, parts.journal.steps(record.deploymentId)),
  };
  if (record.state === 'queued') {
    const started = await start(run);
    if (!started) return;
  }
  if (record.state === 'undoing') return takeBack(run, record.error ?? INTERRUPTED);
  if (record.state === 'running') await repeatStepsIfStopped(run);
  for (const stage of stagesOf(parts.pipeline, run.job)) {
    if (run.outputs.has(stage.step.name)) continue;
    if (!(await advance(run, stage))) return;
  }
  if (run.job.kind === 'build') await handOn(run);
}

/**
 * Which deployment was live when this one started, as recorded then: a restart of the agent sees the same. Its port and
 * kind are those of what is live now.
 */
function liveBefore(
  { journal }: RunnerParts,
  record: JobRecord,
): Pick<Run, 'previousId' | 'foundPort' | 'previousIsWorker'> {
  const live = journal.live(record.environmentId);
  const previousId = record.state === 'queued' ? (live?.deploymentId ?? null) : record.previousId;
  return {
    previousId: previousId === record.deploymentId ? null : previousId,
    foundPort: live?.release?.foundPort ?? null,
    previousIsWorker: live !== null && isLiveWorker(live),
  };
}

/** From queued to running. For a rollback this decides, once and for all, where it enters the pipeline. */
async function start(run: Run): Promise<boolean> {
  const { job, parts, previousId } = run;
  const { deploymentId } = job;
  const state = transition('queued', 'start');
  const report = reportOf(parts, job, 'running');
  let error: unknown = null;
  let steps: StepRecord[] = [];
  try {
    steps = await skippedStepsOf(run);
  } catch (cause) {
    if (run.signals.shutdown.aborted) throw new Interrupted();
    error = cause;
  }
  parts.journal.record({ deploymentId, state, previousId, steps, report });
  for (const { name, output } of steps) run.outputs.set(name, output);
  if (error === null) return true;
  parts.journal.record({ deploymentId, state: transition(state, 'fail'), error: toErrorReport(error) });
  await takeBack(run, toErrorReport(error));
  return false;
}

function endUnstarted(parts: RunnerParts, record: JobRecord): void {
  const error: ErrorReport = { code: 'ORK_CANCELLED', message: 'Cancelled before it started.', evidence: [] };
  parts.journal.record({
    deploymentId: record.deploymentId,
    state: transition('queued', 'cancel'),
    error,
    report: reportOf(parts, record, 'cancelled', { error }),
  });
}

/** The sealed job cannot be opened (another key file). Without it nothing can be done or undone, only reported. */
function endUnreadable(parts: RunnerParts, record: JobRecord, error: ErrorReport): void {
  const { deploymentId, state } = record;
  const next =
    state === 'undoing'
      ? transition(state, 'end-failed')
      : transition(state, state === 'queued' ? 'refuse' : 'fail-forward');
  parts.log.error({ deploymentId, error }, 'the job cannot be read');
  parts.journal.record({ deploymentId, state: next, error, report: reportOf(parts, record, 'failed', { error }) });
}
