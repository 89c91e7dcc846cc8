/** One push at a time into each repository: who comes meanwhile waits a little, then is asked to come again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';

export class Turns {
  readonly #waitMs: number;
  /** By repository; each settles when its push has ended. */
  readonly #running = new Map<string, Promise<boolean>>();

  /** @param waitMs how long one waits for its turn */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /**
   * Runs `push` when no other one of this repository runs.
   * @param gone ends the wait: nobody waits for the answer any more
   * @throws OrkestrError ORK_TOO_MANY_REQUESTS when its turn does not come; and what `push` throws
   */
  async take<T>(repository: string, gone: AbortSignal, push: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    // An abort ends the wait as well: either nobody waits any more, or nobody has to.
    const patience = sleep(this.#waitMs, true, { signal: AbortSignal.any([gone, over.signal]) }).catch(() => true);
    try {
      for (let busy = this.#running.get(repository); busy !== undefined; busy = this.#running.get(repository)) {
        const isLate = await Promise.race([busy, patience]);
        if (isLate) throw tooMany();
      }
    } finally {
      over.abort();
    }
    // Nothing is awaited between the look above and this.
    const ended = push().finally(() => this.#running.delete(repository));
    const quiet = ended.then(
      () => false,
      () => false, // told to its own caller
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
