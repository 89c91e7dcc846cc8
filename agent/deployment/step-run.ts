/**
 * Runs one step of a deployment to its end: records the intent in the journal, calls the step until it is done or has
 * failed for good, and records that with all its consequences.
 */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { ReleaseJob } from '../../protocol/job.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import { StepOutputs } from '../../protocol/steps.ts';
import type { StepName } from '../../protocol/steps.ts';
import { backoffMs } from '../lib/backoff.ts';
import { attempt, isPassing, RETRY_PACE } from './attempt.ts';
import { consequences, failForward, takeOver } from './consequences.ts';
import { transition } from './deployment.ts';
import type { OpenLog } from './log.ts';
import type { AnyStage } from './pipeline.ts';
import type { StepRecord } from './records.ts';
import { contextOf, emptyStep, Interrupted, isPastFlip, timestampOf } from './run.ts';
import type { Run } from './run.ts';
import { withoutSecrets } from './secrets.ts';
import { takeBack } from './undo.ts';

/** How many times a step past the flip is called before a person has to look. */
const FORWARD_TRIES = 5;

/**
 * How many times a step before the flip may start after the agent died in the middle of it: the step may be the cause.
 */
const MAX_STARTS = 3;

/** Time that the engine may take to stop an app, in addition to the app's own grace. */
const ENGINE_SECONDS = 60;

/** Runs one step to its end. Returns false if the deployment ended with it. */
export async function advance(run: Run, stage: AnyStage): Promise<boolean> {
  const { parts, job } = run;
  const { deploymentId } = job;
  const { name } = stage.step;
  const { clock } = parts.ports;
  const before = parts.journal.steps(deploymentId).find((step) => step.name === name);
  const starts = before?.state === 'begun' ? before.starts + 1 : 1;
  const begun = { ...emptyStep(name, timestampOf(parts.ports)), note: entryNote(run, stage), starts };
  parts.journal.record({ deploymentId, steps: [begun] });
  parts.failpoint.hit(`${name}:begun`);
  const log = parts.logs.open(deploymentId, name, run.secrets);
  const began = clock.monotonic();
  const ended = (change: Partial<StepRecord>): StepRecord => ({ ...begun, ms: clock.monotonic() - began, ...change });
  try {
    if (begun.note !== null) log.line(begun.note);
    if (before !== undefined) log.line('the agent was restarted; this step runs again');
    const output = await untilDone(run, stage, log, starts);
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
    if (!(error instanceof StepFailed)) {
      // The step will be resumed, and the agent is alive: whatever interrupted this run, the step did not kill it.
      parts.journal.record({ deploymentId, steps: [{ ...begun, starts: starts - 1 }] });
      throw error;
    }
    const report = toErrorReport(error.cause);
    log.line(`${report.code}: ${report.message}`);
    log.close();
    const state = report.code === 'ORK_CANCELLED' && !error.pastFlip ? 'cancelled' : 'failed';
    const step = ended({ state, error: report });
    if (error.pastFlip) parts.journal.record(failForward(run, step, report));
    else await failBack(run, step, report);
    return false;
  } finally {
    log.close();
  }
}

/** Before the flip: undoes all that was done. */
async function failBack(run: Run, step: StepRecord, error: ErrorReport): Promise<void> {
  const state = transition('running', 'fail');
  run.parts.journal.record({ deploymentId: run.job.deploymentId, steps: [step], state, error });
  await takeBack(run, error);
}

/** Explains why a rollback has to build again. */
function entryNote({ job }: Run, { step }: AnyStage): string | null {
  if (job.kind !== 'rollback' || step.name !== 'clone') return null;
  return `the image of deployment ${job.release.deploymentId} is no longer on this host: its commit ${job.release.commit} is built again`;
}

/** A step failed for good. */
class StepFailed extends Error {
  readonly pastFlip: boolean;

  constructor(cause: unknown, pastFlip: boolean) {
    super('step failed', { cause });
    this.pastFlip = pastFlip;
  }
}

/** The step's output. Past the flip the step is called again and again, because there is no way back. */
async function untilDone(run: Run, stage: AnyStage, log: OpenLog, starts: number): Promise<unknown> {
  const { parts } = run;
  let flipped = isPastFlip(run);
  for (let failures = 1; ; failures++) {
    try {
      if (!flipped && starts > MAX_STARTS) throw deadly(stage.step.name);
      return await callStep(run, stage, log, flipped);
    } catch (cause) {
      if (run.signals.shutdown.aborted) throw new Interrupted();
      const error = withoutSecrets(explained(cause), run.secrets);
      parts.log.info({ err: error, deploymentId: run.job.deploymentId, step: stage.step.name }, 'step failed');
      flipped ||= stage.step.name === 'cutover' && (await askWhetherFlipped(run, log));
      if (!flipped || failures >= FORWARD_TRIES) throw new StepFailed(error, flipped);
      log.line(`${error.message} The flip is done, so this step is retried.`);
      await pause(run, failures);
    }
  }
}

/** A step that starves the watchdog or exhausts memory kills the agent at each start, and no other deployment ends. */
const deadly = (step: StepName): OrkestrError =>
  new OrkestrError('ORK_AGENT_DIED', `The agent died ${MAX_STARTS} times while the step ${step} ran.`);

/** An error of the file system is the host's problem, whatever step met it. */
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
    ...cancelGrace(stage, job),
    timeoutError: (last) =>
      // Blame the party that did not respond, not the app.
      new OrkestrError(
        isPassing(last) ? last.code : stage.timeoutCode,
        `The step ${stage.step.name} did not finish within ${seconds} s.`,
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
 * The grace period between a cancel of a step and its being abandoned, where it must be long. A drain can no longer be
 * cancelled, and a second run of the step would overlap with it. And an old app that is being stopped to make room
 * cannot be brought back before it has ended.
 */
function cancelGrace({ step, seconds }: AnyStage, job: ReleaseJob): { readonly abandonMs?: number } {
  const { cutover, stopGraceSeconds } = job.settings;
  if (step.name === 'cutover') return { abandonMs: seconds(job) * 1000 };
  if (step.name === 'deploy' && cutover === 'hold') return { abandonMs: (stopGraceSeconds + ENGINE_SECONDS) * 1000 };
  return {};
}

/**
 * Whether visitors are already on the new target. While the proxy does not answer, neither direction is safe, so this
 * waits for as long as it takes: the proxy answers from its table file as soon as it runs again.
 */
async function askWhetherFlipped(run: Run, log: OpenLog): Promise<boolean> {
  const context = contextOf(run, log, run.signals.shutdown);
  for (let failures = 0; ; failures++) {
    try {
      return await run.parts.pipeline.hasFlipped(context);
    } catch (error) {
      log.line(`The proxy does not report which version serves (${toErrorReport(error).message}); asking again.`);
      await pause(run, failures);
    }
  }
}

async function pause({ parts, signals }: Run, failures: number): Promise<void> {
  try {
    await parts.ports.clock.sleep(backoffMs(failures, RETRY_PACE, parts.random), signals.shutdown);
  } catch {
    throw new Interrupted(); // only the shutdown ends this sleep early
  }
}
