/**
 * Checks many things periodically, a few per turn of the event loop. When a thousand clients time out at once, that is
 * a thousand responses and closed connections, and other requests must not wait for all of them.
 */
import type { Clock } from '../clock.ts';

/**
 * Duration of one turn, ms. A check that has begun is finished, and the work that closed connections cause afterwards
 * takes several times as long.
 */
const TURN_MS = 0.1;

export class Sweep<T> {
  readonly #things: ReadonlySet<T>;
  readonly #check: (thing: T) => void;
  readonly #clock: Clock;
  /** The rest of the current round; null between rounds. */
  #left: Iterator<T> | null = null;

  /** @param things may change during a round: added things are checked, removed ones are not */
  constructor(things: ReadonlySet<T>, check: (thing: T) => void, clock: Clock) {
    this.#things = things;
    this.#check = check;
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#things.size === 0;
  }

  /** Begins a round, unless the last one is still in progress. */
  begin(): void {
    if (this.#left !== null) return;
    this.#left = this.#things.values();
    this.#turn(this.#left);
  }

  #turn(left: Iterator<T>): void {
    const until = this.#clock.monotonic() + TURN_MS;
    try {
      do {
        const next = left.next();
        if (next.done === true) {
          this.#left = null;
          return;
        }
        this.#check(next.value);
      } while (this.#clock.monotonic() < until);
    } finally {
      // Also when a check throws: otherwise no further round would begin.
      if (this.#left !== null) setImmediate(() => this.#turn(left));
    }
  }
}
