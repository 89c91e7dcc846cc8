/** Reports of all hosts go into the store one batch after another, in the order in which they were brought. */
import { setImmediate as turn } from 'node:timers/promises';

export class Intake {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Hosts that come back all at once take turns, and after each batch the hub turns to whoever else asks. Bring the next one
   * when this one is stored: then no more wait than there are hosts.
   */
  take<T>(store: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const stored = this.#after(before, store);
    this.#last = stored.then(
      () => undefined,
      () => undefined, // told to the one who has brought it
    );
    return stored;
  }

  async #after<T>(before: Promise<unknown>, store: () => Promise<T>): Promise<T> {
    await before;
    await turn();
    return store();
  }
}
