/**
 * Takes one deployment through the pipeline. Each step: record the intent, act, record the result; so that after a crash
 * the run goes on at the first step that is not done. A failure or a cancel before the flip takes back what was done, in
 * reverse order; after the flip there is only forward.
 */
import { OrkestrError, toErrorReport, withSentence } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { StepOutputs } from '../../protocol/steps.ts';
import type { HealthReport, Release, StepName, Target } from '../../protocol/steps.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import { backoffMs } from '../lib/backoff.ts';
import { attempt, isPassing, RETRY_PACE } from './attempt.ts';
import { handOn, stagesOf } from './build-job.ts';
import { edgeNow } from './edge-now.ts';
import { isEnded, transition } from './deployment.ts';
import type { OpenLog } from './log.ts';
import type { AnyStage } from './pipeline.ts';
import type { Change, JobRecord, LiveRecord, StepRecord } from './records.ts';
import { servingPort } from './port.ts';
import { startAgainWhatFell } from './resume.ts';
import { removeEnvironment } from './removal.ts';
import { stepsBehind } from './retained.ts';
import { contextOf, emptyStep, Interrupted, outputsOf, timestampOf } from './run.ts';
import type { Run, RunnerParts, RunSignals } from './run.ts';
import { secretsOf, withoutSecrets } from './secrets.ts';
import { takeBack } from './undo.ts';

/** How often a step past the flip is called in all before a person has to look. */
const FORWARD_TRIES = 5;

/**
 * Run a deployment from where the journal left it to its end. Failures of the deployment are recorded and reported, not
 * thrown.
 * @throws when the journal itself cannot be read or written; calling again later is right then
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
    ...previousOf(parts, record),
    signals,
    secrets: secretsOf(payload),
    outputs: outputsOf(payload, parts.journal.steps(record.deploymentId)),
  };
  if (record.state === 'queued') {
    const started = await start(run);
    if (!started) return;
  }
  if (record.state === 'undoing') return takeBack(run, record.error ?? INTERRUPTED);
  if (record.state === 'running') await startAgainWhatFell(run);
  for (const stage of stagesOf(parts.pipeline, run.job)) {
    if (run.outputs.has(stage.step.name)) continue;
    if (!(await advance(run, stage))) return;
  }
  if (run.job.kind === 'build') await handOn(run);
}

/** What was live when the deployment started: fixed then, so that a restart sees the same. */
function previousOf({ journal }: RunnerParts, record: JobRecord): Pick<Run, 'previousId' | 'foundPort'> {
  const live = journal.live(record.environmentId);
  const previousId = record.state === 'queued' ? (live?.deploymentId ?? null) : record.previousId;
  return {
    previousId: previousId === record.deploymentId ? null : previousId,
    foundPort: live?.release?.foundPort ?? null,
  };
}

const INTERRUPTED: ErrorReport = {
  code: 'ORK_INTERRUPTED',
  message: 'The agent stopped in the middle of taking the deployment back.',
  evidence: [],
};

/** From queued to running. For a rollback this decides, once and for all, where the pipeline is entered. */
async function start(run: Run): Promise<boolean> {
  const { job, parts, previousId } = run;
  const { deploymentId, generation } = job;
  const state = transition('queued', 'start');
  const report = {
    kind: 'deployment',
    deploymentId,
    generation,
    status: 'running',
    at: timestampOf(parts.ports),
  } as const;
  let error: unknown = null;
  let steps: StepRecord[] = [];
  try {
    steps = await stepsBehind(run);
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

/** One step, to its end. False when the deployment ended with it. */
async function advance(run: Run, stage: AnyStage): Promise<boolean> {
  const { parts, job } = run;
  const { deploymentId } = job;
  const { name } = stage.step;
  const { clock } = parts.ports;
  const resumed = parts.journal.steps(deploymentId).some((step) => step.name === name);
  const begun = { ...emptyStep(name, timestampOf(parts.ports)), note: entryNote(run, stage) };
  parts.journal.record({ deploymentId, steps: [begun] });
  parts.failpoint.hit(`${name}:begun`);
  const log = parts.logs.open(deploymentId, name, run.secrets);
  const began = clock.monotonic();
  const ended = (change: Partial<StepRecord>): StepRecord => ({ ...begun, ms: clock.monotonic() - began, ...change });
  try {
    if (begun.note !== null) log.line(begun.note);
    if (resumed) log.line('the agent was restarted; this step runs again');
    const output = await untilDone(run, stage, log);
    parts.failpoint.hit(`${name}:acted`);
    log.close();
    run.outputs.set(name, output);
    const late =
      run.signals.cancel.aborted && isPastFlip(run) ? 'the cancel came after the flip and was ignored' : null;
    parts.journal.record({
      deploymentId,
      steps: [ended({ state: 'done', output, note: begun.note ?? late })],
      ...consequences(run, name),
    });
    parts.failpoint.hit(`${name}:done`);
    return true;
  } catch (error) {
    if (error instanceof Interrupted || !(error instanceof StepFailed)) throw error;
    const report = toErrorReport(error.cause);
    log.line(`${report.code}: ${report.message}`);
    log.close();
    if (error.pastFlip) {
      parts.journal.record(lostChange(run, ended({ state: 'failed', error: report }), report));
      return false;
    }
    const cancelled = report.code === 'ORK_CANCELLED';
    parts.journal.record({
      deploymentId,
      steps: [ended({ state: cancelled ? 'cancelled' : 'failed', error: report })],
      state: transition('running', 'fail'),
      error: report,
    });
    await takeBack(run, report);
    return false;
  } finally {
    log.close();
  }
}

/** Says it when a rollback has to build again. */
function entryNote({ job }: Run, { step }: AnyStage): string | null {
  if (job.kind !== 'rollback' || step.name !== 'clone') return null;
  return `the image of deployment ${job.release.deploymentId} is no longer on this host: its commit ${job.release.commit} is built again`;
}

/** The end of a step that failed for good. */
class StepFailed extends Error {
  readonly pastFlip: boolean;

  constructor(cause: unknown, pastFlip: boolean) {
    super('step failed', { cause });
    this.pastFlip = pastFlip;
  }
}

/**
 * Visitors are on this deployment: its cutover is recorded, or it was adopted after the loss of the journal and its job came
 * again. Nothing of it may be taken back then.
 */
const isPastFlip = ({ parts, job }: Run): boolean =>
  parts.journal.live(job.environment.id)?.deploymentId === job.deploymentId;

/** The step's output. Past the flip it is called again and again, for there is no way back. */
async function untilDone(run: Run, stage: AnyStage, log: OpenLog): Promise<unknown> {
  const { parts } = run;
  let flipped = isPastFlip(run);
  for (let failures = 1; ; failures++) {
    try {
      return await callStep(run, stage, log, flipped);
    } catch (cause) {
      if (run.signals.shutdown.aborted) throw new Interrupted();
      const error = withoutSecrets(explained(cause), run.secrets);
      parts.log.info({ err: error, deploymentId: run.job.deploymentId, step: stage.step.name }, 'step failed');
      flipped ||= stage.step.name === 'cutover' && (await askWhetherFlipped(run, log));
      if (!flipped || failures >= FORWARD_TRIES) throw new StepFailed(error, flipped);
      log.line(`${error.message} The flip is done, so this step is tried again.`);
      await pause(run, failures);
    }
  }
}

/** What the file system says is a matter of the host, whoever met it. */
const explained = (cause: unknown): unknown =>
  cause instanceof OrkestrError || !isDiskFull(cause)
    ? cause
    : new OrkestrError('ORK_DISK_FULL', `The disk of the host is full: ${toErrorReport(cause).message}.`, { cause });

async function callStep(run: Run, stage: AnyStage, log: OpenLog, flipped: boolean): Promise<unknown> {
  const { parts, signals, job } = run;
  const seconds = stage.seconds(job);
  const output = await attempt<unknown>({
    act: async (signal) =>
      stage.step.run(contextOf({ ...run, isLive: isPastFlip(run), takeOver: () => takeOver(run) }, log, signal)),
    limitMs: seconds * 1000,
    // A cancel that comes while the old target drains is too late: the step is heard out, not left behind and repeated.
    ...(stage.step.name === 'cutover' && { abandonMs: seconds * 1000 }),
    timeoutError: (last) =>
      // Whoever did not answer is to blame for it, and not the app.
      new OrkestrError(
        isPassing(last) ? last.code : stage.timeoutCode,
        `The step ${stage.step.name} was not done within ${seconds} s.`,
        {
          evidence: [toErrorReport(last).message],
          cause: last,
        },
      ),
    signal: flipped ? signals.shutdown : AbortSignal.any([signals.cancel, signals.shutdown]),
    clock: parts.ports.clock,
    random: parts.random,
    onRetry: (error, waitMs) =>
      log.line(`${error.code}: ${error.message} Trying again in ${(waitMs / 1000).toFixed(1)} s.`),
  });
  return StepOutputs[stage.step.name].parse(output);
}

/**
 * Whether visitors are on the new target already. While the proxy does not tell, neither way is safe, so this waits for it:
 * as long as it takes, for the proxy answers from its table file as soon as it runs again.
 */
async function askWhetherFlipped(run: Run, log: OpenLog): Promise<boolean> {
  const context = contextOf(run, log, run.signals.shutdown);
  for (let failures = 0; ; failures++) {
    try {
      return await run.parts.pipeline.hasFlipped(context);
    } catch (error) {
      log.line(`The proxy does not say who serves (${toErrorReport(error).message}); asking again.`);
      await pause(run, failures);
    }
  }
}

async function pause({ parts, signals }: Run, failures: number): Promise<void> {
  try {
    await parts.ports.clock.sleep(backoffMs(failures, RETRY_PACE, parts.random), signals.shutdown);
  } catch {
    throw new Interrupted(); // the only thing that ends this sleep early is the shutdown
  }
}

/** From now on reconcile looks after it: its cutover may go on for a day, until the last stream has drained. */
const takeOver = (run: Run): void =>
  run.parts.journal.record({ deploymentId: run.job.deploymentId, live: liveOf(run, null) });

/** What changes beside the step's own record when it is done, in the same transaction. */
function consequences(run: Run, name: StepName): Omit<Change, 'deploymentId' | 'steps'> {
  const { job, previousId, parts } = run;
  if (name === 'cutover') return { live: liveOf(run, null) };
  if (name !== 'finalize') return {};
  const release = run.outputs.get('finalize') as Release;
  const previous = previousId === null ? null : parts.journal.job(previousId);
  return {
    state: transition('running', 'finish'),
    live: liveOf(run, release),
    superseded: previous?.state === 'live' || previous?.state === 'failed' ? [previous.deploymentId] : [],
    report: {
      kind: 'deployment',
      deploymentId: job.deploymentId,
      generation: job.generation,
      status: 'live',
      at: timestampOf(parts.ports),
      release,
    },
  };
}

function liveOf({ job, outputs, parts }: Run, release: Release | null): LiveRecord {
  const target = outputs.get('deploy') as Target;
  const port = servingPort(target, outputs.get('health') as HealthReport);
  return {
    environmentId: job.environment.id,
    projectId: job.project.id,
    deploymentId: job.deploymentId,
    entry: {
      id: job.environment.id,
      generation: job.generation,
      targets: [{ id: job.deploymentId, address: target.address, port }],
      ...edgeNow(parts.journal, job),
    },
    healthCheck: job.settings.healthCheck,
    release,
  };
}

/** It serves, but it could not be brought to its end: failed, with nothing undone, and remembered as what is live. */
function lostChange(run: Run, step: StepRecord, error: ErrorReport): Change {
  const { deploymentId, generation } = run.job;
  const told = withSentence(error, 'The new version serves all the same.');
  return {
    deploymentId,
    steps: [step],
    state: transition('running', 'lose'),
    error: told,
    ...(!isPastFlip(run) && { live: liveOf(run, null) }),
    report: {
      kind: 'deployment',
      deploymentId,
      generation,
      status: 'failed',
      at: timestampOf(run.parts.ports),
      error: told,
    },
  };
}

function endUnstarted(parts: RunnerParts, { deploymentId, generation }: JobRecord): void {
  const error: ErrorReport = { code: 'ORK_CANCELLED', message: 'Cancelled before it started.', evidence: [] };
  const state = transition('queued', 'cancel');
  const at = timestampOf(parts.ports);
  parts.journal.record({
    deploymentId,
    state,
    error,
    report: { kind: 'deployment', deploymentId, generation, status: 'cancelled', at, error },
  });
}

/** The sealed job cannot be opened (another key file): without it nothing can be done or undone, only told. */
function endUnreadable(parts: RunnerParts, record: JobRecord, error: ErrorReport): void {
  const { deploymentId, generation, state } = record;
  const at = timestampOf(parts.ports);
  const next =
    state === 'undoing' ? transition(state, 'end-failed') : transition(state, state === 'queued' ? 'refuse' : 'lose');
  parts.log.error({ deploymentId, error }, 'the job cannot be read');
  parts.journal.record({
    deploymentId,
    state: next,
    error,
    report: { kind: 'deployment', deploymentId, generation, status: 'failed', at, error },
  });
}
