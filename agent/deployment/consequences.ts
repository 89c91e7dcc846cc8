/**
 * What the end of a step changes for its deployment and for the live record, stored with the step in one transaction.
 */
import { withSentence } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { HealthReport, Release, StepName, Target } from '../../protocol/steps.ts';
import { transition } from './deployment.ts';
import { edgeNow } from './edge-now.ts';
import { servingPort } from './port.ts';
import type { Change, LiveRecord, StepRecord } from './records.ts';
import { isPastFlip, reportOf } from './run.ts';
import type { Run } from './run.ts';

/** What a finished step changes besides its own record. */
export function consequences(run: Run, name: StepName): Omit<Change, 'deploymentId' | 'steps'> {
  const { job, previousId, parts } = run;
  if (name === 'cutover') return { live: liveOf(run, null) };
  if (name !== 'finalize') return {};
  const release = run.outputs.get('finalize') as Release;
  const previous = previousId === null ? null : parts.journal.job(previousId);
  return {
    state: transition('running', 'finish'),
    live: liveOf(run, release),
    superseded: previous?.state === 'live' || previous?.state === 'failed' ? [previous.deploymentId] : [],
    report: reportOf(parts, job, 'live', { release }),
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

/**
 * The new version serves, but a later step failed for good: the deployment is failed, nothing is undone, and it is
 * recorded as live.
 */
export function failForward(run: Run, step: StepRecord, error: ErrorReport): Change {
  const { parts, job } = run;
  const told = withSentence(error, 'The new version serves all the same.');
  return {
    deploymentId: job.deploymentId,
    steps: [step],
    state: transition('running', 'fail-forward'),
    error: told,
    ...(!isPastFlip(run) && { live: liveOf(run, null) }),
    report: reportOf(parts, job, 'failed', { error: told }),
  };
}

/** From now on reconcile looks after the deployment: its cutover may take another day, until all streams have ended. */
export const takeOver = (run: Run): void =>
  run.parts.journal.record({ deploymentId: run.job.deploymentId, live: liveOf(run, null) });
