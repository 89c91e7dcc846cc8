/** The runs in progress: each goes on until the journal has recorded its end, and can be ended from outside. */
import { OrkestrError } from '../../protocol/errors.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { QueueItem } from './queue.ts';
import type { DeploymentJournal, JobIntake } from './records.ts';
import type { RunnerParts } from './run.ts';
import { runDeployment } from './runner.ts';

/** Backoff while the journal itself fails (disk full). */
const STALLED_PACE = { baseMs: 2000, capMs: 60_000 };

interface Runs {
  /**
   * Runs a deployment to its end. Never rejects.
   * @param leaveSlot called when the run only waits from there on
   */
  run(item: QueueItem, leaveSlot: () => void): Promise<void>;
  /** No effect on a deployment that does not run, or is past the flip. */
  cancel(deploymentId: string): void;
  /** The environment is being deleted: before the flip its runs are undone, after it nothing is waited for. */
  endAllOf(environmentId: string): void;
  /** Interrupts all runs, without recording an end. */
  interrupt(): void;
}

interface RunsOptions {
  readonly parts: RunnerParts;
  readonly intake: Pick<JobIntake, 'unfinished'> & Pick<DeploymentJournal, 'job'>;
  /** Called after the end of each deployment. */
  onEnded(deploymentId: string): void;
}

export function makeRuns(options: RunsOptions): Runs {
  const { parts, intake } = options;
  const shutdown = new AbortController();
  /** By deployment id. */
  const running = new Map<string, RunHandle>();

  /** Whether a removal of its environment waits for it to end. */
  const isToGo = ({ kind, environmentId }: QueueItem): boolean =>
    kind !== 'remove' &&
    intake.unfinished().some((job) => job.kind === 'remove' && job.environmentId === environmentId);

  /**
   * Runs the deployment. While the journal cannot be read or written, waits, then continues from the journal's state.
   */
  const untilRecorded = async (own: RunHandle, leaveSlot: () => void): Promise<void> => {
    const { cancel, removal, item } = own;
    const { deploymentId } = item;
    const signals = { cancel: cancel.signal, removal: removal.signal, shutdown: shutdown.signal, leaveSlot };
    for (let failures = 0; ; failures++) {
      try {
        if (intake.job(deploymentId)?.cancelRequested) cancel.abort(cancelled());
        if (isToGo(item)) endForRemoval(own);
        return await runDeployment(parts, deploymentId, signals);
      } catch (error) {
        if (shutdown.signal.aborted) return;
        parts.log.error({ err: error, deploymentId }, 'the journal does not say or take what happened; trying again');
        await parts.ports.clock.sleep(backoffMs(failures, STALLED_PACE, parts.random), shutdown.signal);
      }
    }
  };

  return {
    async run(item, leaveSlot) {
      const { deploymentId } = item;
      const own: RunHandle = { item, cancel: new AbortController(), removal: new AbortController() };
      running.set(deploymentId, own);
      try {
        await untilRecorded(own, leaveSlot);
        if (!shutdown.signal.aborted) options.onEnded(deploymentId);
      } catch (error) {
        if (!shutdown.signal.aborted) parts.log.error({ err: error, deploymentId }, 'after the end of a deployment');
      } finally {
        running.delete(deploymentId);
      }
    },
    cancel: (deploymentId) => running.get(deploymentId)?.cancel.abort(cancelled()),
    endAllOf(environmentId) {
      for (const one of running.values()) {
        if (one.item.environmentId === environmentId && one.item.kind !== 'remove') endForRemoval(one);
      }
    },
    interrupt: () => shutdown.abort(new OrkestrError('ORK_INTERRUPTED', 'The agent is stopping.')),
  };
}

/** What ends a run from outside. */
interface RunHandle {
  readonly item: QueueItem;
  readonly cancel: AbortController;
  readonly removal: AbortController;
}

function endForRemoval({ cancel, removal }: RunHandle): void {
  const reason = new OrkestrError('ORK_CANCELLED', 'The environment was deleted.');
  cancel.abort(reason);
  removal.abort(reason);
}

const cancelled = (): OrkestrError => new OrkestrError('ORK_CANCELLED', 'The deployment was cancelled.');
