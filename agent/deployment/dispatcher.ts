/** What happens to a job that arrives (known, stale, refused or queued), and to jobs that a restart interrupted. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Job, RemoveJob } from '../../protocol/job.ts';
import { isEnded } from './deployment.ts';
import { makeQueue } from './queue.ts';
import type { QueueLimits } from './queue.ts';
import type { DeploymentJournal, JobIntake, JobRecord, RefusedJob } from './records.ts';
import { timestampOf } from './run.ts';
import type { RunnerParts } from './run.ts';
import { makeRuns } from './runs.ts';

export interface Dispatcher {
  /** Never throws because of the job's content: a job that cannot run is reported as failed. */
  accept(job: Job): void;
  /** Reports a job as failed that could not even be parsed. */
  refuse(job: RefusedJob, error: ErrorReport): void;
  /** Idempotent. No effect on a deployment that has ended or is past the flip. */
  cancel(deploymentId: string): void;
  /** Queues the accepted jobs of the journal that have not ended. Call once, before new jobs come. */
  resume(): void;
  unfinished(): readonly JobRecord[];
  isBusy(environmentId: string): boolean;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
  /** Stops what runs without recording an end: the next start resumes it. Waits at most `withinMs` for it. */
  stop(withinMs: number): Promise<void>;
}

interface DispatcherOptions {
  readonly parts: RunnerParts;
  readonly intake: JobIntake & Pick<DeploymentJournal, 'job'>;
  readonly limits: QueueLimits;
  /** Called after the end of each deployment. */
  onEnded(deploymentId: string): void;
}

export function makeDispatcher(options: DispatcherOptions): Dispatcher {
  const { parts, intake, limits } = options;
  const runs = makeRuns(options);
  const queue = makeQueue(limits, (item, leaveSlot) => runs.run(item, leaveSlot));

  const refuse = (job: RefusedJob, error: ErrorReport): void => {
    parts.log.warn({ deploymentId: job.deploymentId, error }, 'job refused');
    intake.refuse(job, error, timestampOf(parts.ports));
  };

  const enqueue = ({ deploymentId, environment, kind }: Job): void => {
    queue.add({ deploymentId, environmentId: environment.id, kind });
    // The hub's cancel may not have arrived, and comes too late for a draining deployment, which would keep a deleted
    // app serving for a day.
    if (kind === 'remove') runs.endAllOf(environment.id);
  };

  const acceptNew = (job: Job): void => {
    if (job.kind !== 'remove') queue.checkRoom();
    if (intake.accept(job) === 'stale') return refuseStale(job);
    enqueue(job);
  };

  /** A deleted app keeps serving until its removal is done. */
  const removeAgain = (removal: RemoveJob): void => {
    if (queue.isIn(removal.deploymentId)) return; // just about to end; the hub sends it again
    intake.requeue(removal);
    enqueue(removal);
  };

  const refuseStale = ({ deploymentId, generation, environment }: Job): void => {
    const newest = intake.nextGeneration(environment.id) - 1;
    const message = `Generation ${generation} is not newer than the last one that this host received for the environment, ${newest}.`;
    refuse({ deploymentId, generation, newest }, toErrorReport(new OrkestrError('ORK_GENERATION_STALE', message)));
  };

  return {
    accept(job) {
      const known = intake.job(job.deploymentId);
      if (known) {
        // The hub asks again: a running job will report, an ended one reports once more, a failed removal is retried.
        if (job.kind === 'remove' && known.state === 'failed') removeAgain(job);
        else if (isEnded(known.state)) intake.reannounce(job.deploymentId);
        return;
      }
      try {
        acceptNew(job);
      } catch (error) {
        if (!(error instanceof OrkestrError)) throw error;
        refuse(job, toErrorReport(error));
      }
    },
    refuse,
    cancel(deploymentId) {
      // First the abort, which needs no disk space: this very build may be what fills the disk.
      runs.cancel(deploymentId);
      intake.requestCancel(deploymentId);
      // Otherwise it would stay unfinished for as long as the builds of other environments before it take.
      queue.letGo(deploymentId);
    },
    resume() {
      for (const { deploymentId, environmentId, kind } of intake.unfinished())
        queue.add({ deploymentId, environmentId, kind });
    },
    unfinished: () => intake.unfinished(),
    isBusy: (environmentId) => queue.environments().has(environmentId),
    idle: () => queue.idle(),
    async stop(withinMs) {
      queue.close();
      runs.interrupt();
      const over = new AbortController();
      const late = parts.ports.clock.sleep(withinMs, over.signal).catch(() => undefined); // idle in time
      await Promise.race([queue.idle(), late]);
      over.abort();
    },
  };
}
