/** Prunes the details of old deployments in small transactions, in the background. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CoreDeps } from '../deps.ts';
import { planOf } from '../plans.ts';
import { forgetSome } from '../store/history.ts';
import { findTeamOfEnvironment } from '../store/teams.ts';

/** Pause between two transactions, ms: pruning years of history must not block other work. */
const PAUSE_MS = 10;

export class Forgetting {
  readonly #deps: Pick<CoreDeps, 'db' | 'log'>;
  /** Environments that had a deployment since they were last pruned. */
  readonly #due = new Set<string>();
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #isOver = false;

  constructor(deps: Pick<CoreDeps, 'db' | 'log'>) {
    this.#deps = deps;
  }

  /** Returns at once. If a stop interrupts the pruning, the environment's next deployment resumes it. */
  begin(environmentId: string): void {
    this.#due.add(environmentId);
    if (!this.#isWorking) this.#working = this.#work();
  }

  /** Settles when no pruning is in progress. */
  idle(): Promise<void> {
    return this.#working;
  }

  stop(): Promise<void> {
    this.#isOver = true;
    return this.idle();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (const environmentId of this.#due) {
      this.#due.delete(environmentId);
      try {
        while (!this.#isOver && (await this.#step(environmentId))) await sleep(PAUSE_MS);
      } catch (error) {
        this.#deps.log.error({ err: error, environmentId }, 'the details of old deployments could not be deleted');
      }
    }
    this.#isWorking = false;
  }

  #step(environmentId: string): Promise<boolean> {
    return this.#deps.db.transaction().execute(async (trx) => {
      const team = await findTeamOfEnvironment(trx, environmentId);
      return team !== undefined && forgetSome(trx, environmentId, planOf(team).keepDetails);
    });
  }
}
