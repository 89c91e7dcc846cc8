/**
 * Undoes what a deployment did before the flip, newest first. Failures to undo are reported and never hide the cause.
 */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { attempt } from './attempt.ts';
import { transition } from './deployment.ts';
import type { AnyStage } from './pipeline.ts';
import { contextOf, Interrupted, reportOf } from './run.ts';
import type { Run } from './run.ts';

/** In addition to the grace of the container, which an app that ignores SIGTERM uses up. */
const UNDO_SECONDS = 60;

/** From `undoing` to `failed` or `cancelled`. Resumes where an earlier call was interrupted. */
export async function takeBack(run: Run, cause: ErrorReport): Promise<void> {
  const { parts, job } = run;
  const { deploymentId } = job;
  const failures: string[] = [];
  for (const stage of parts.pipeline.stages.toReversed()) {
    const record = parts.journal.steps(deploymentId).find(({ name }) => name === stage.step.name);
    if (!record || record.state === 'skipped' || record.undone) continue;
    const failure = await undoStep(run, stage);
    if (failure !== null) failures.push(`not undone: ${stage.step.name}: ${failure}`.slice(0, 2000));
    parts.journal.record({ deploymentId, undone: stage.step.name });
  }
  const cancelled = cause.code === 'ORK_CANCELLED';
  const error = { ...cause, evidence: [...cause.evidence, ...failures].slice(0, 60) };
  parts.journal.record({
    deploymentId,
    state: transition('undoing', cancelled ? 'end-cancelled' : 'end-failed'),
    error,
    report: reportOf(parts, job, cancelled ? 'cancelled' : 'failed', { error }),
  });
}

/** Null if the step is undone, or else why not. */
async function undoStep(run: Run, { step }: AnyStage): Promise<string | null> {
  if (!step.undo) return null;
  const { parts, job, signals } = run;
  const { deploymentId } = job;
  const log = parts.logs.open(deploymentId, step.name, run.secrets);
  const seconds = UNDO_SECONDS + job.settings.stopGraceSeconds;
  try {
    log.line('undoing this step');
    await attempt({
      act: async (signal) => step.undo?.(contextOf(run, log, signal)),
      limitMs: seconds * 1000,
      timeoutError: (last) =>
        new OrkestrError('ORK_INTERNAL', `Not undone within ${seconds} s.`, {
          evidence: [toErrorReport(last).message],
          cause: last,
        }),
      signal: signals.shutdown,
      clock: parts.ports.clock,
      random: parts.random,
      onRetry: (error) => log.line(`${error.code}: ${error.message} Trying again.`),
    });
    parts.failpoint.hit(`${step.name}:undo`);
    return null;
  } catch (error) {
    if (signals.shutdown.aborted) throw new Interrupted();
    const { message } = toErrorReport(error);
    log.line(`could not be undone: ${message}`);
    parts.log.warn({ err: error, deploymentId, step: step.name }, 'undo failed; reconcile will clean up');
    return message;
  } finally {
    log.close();
  }
}
