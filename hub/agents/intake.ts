/** Stores the reports of all hosts, one batch at a time, in order of arrival. */
import { setImmediate as turn } from 'node:timers/promises';

export class Intake {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Hosts that reconnect all at once take turns, and between batches the hub serves other requests. A caller submits
   * its next batch when the previous one is stored, so no more batches wait than there are hosts.
   */
  take<T>(store: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const stored = this.#after(before, store);
    this.#last = stored.then(
      () => undefined,
      () => undefined, // reported to the caller
    );
    return stored;
  }

  async #after<T>(before: Promise<unknown>, store: () => Promise<T>): Promise<T> {
    await before;
    await turn();
    return store();
  }
}
