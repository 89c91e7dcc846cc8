/** Serializes the pushes to each repository. A push waits a little for its turn, then is told to retry. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';

export class Turns {
  readonly #waitMs: number;
  /** By repository; settles when the push has ended. */
  readonly #running = new Map<string, Promise<boolean>>();

  /** @param waitMs how long a push waits for its turn */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /**
   * Runs `push` when no other push to this repository runs.
   * @param gone aborts the wait: the client has disconnected
   * @throws OrkestrError ORK_TOO_MANY_REQUESTS when its turn does not come; and what `push` throws
   */
  async take<T>(repository: string, gone: AbortSignal, push: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    // An abort also ends the wait: the client is gone, or the turn has come.
    const patience = sleep(this.#waitMs, true, { signal: AbortSignal.any([gone, over.signal]) }).catch(() => true);
    try {
      for (let busy = this.#running.get(repository); busy !== undefined; busy = this.#running.get(repository)) {
        const isLate = await Promise.race([busy, patience]);
        if (isLate) throw tooMany();
      }
    } finally {
      over.abort();
    }
    // No await between the check above and this, so the turn cannot be taken twice.
    const ended = push().finally(() => this.#running.delete(repository));
    const quiet = ended.then(
      () => false,
      () => false, // reported to its own caller
    );
    this.#running.set(repository, quiet);
    return ended;
  }
}

const tooMany = (): OrkestrError =>
  new OrkestrError(
    'ORK_TOO_MANY_REQUESTS',
    'Another push to this repository is in progress. Try again when it has finished.',
  );
