/**
 * Looks at each of many things every so often, a few per turn of the event loop: a thousand clients whose time is over at
 * once are a thousand answers and closed connections, and whoever asks meanwhile must not wait for all of them.
 */
import type { Clock } from '../clock.ts';

/** ms of one turn. What is begun is finished; and what the ends of connections bring behind it takes several times as long. */
const TURN_MS = 0.1;

export class Sweep<T> {
  readonly #things: ReadonlySet<T>;
  readonly #check: (thing: T) => void;
  readonly #clock: Clock;
  /** Of the present round; null between two. */
  #left: Iterator<T> | null = null;

  /** @param things may change meanwhile: what comes is looked at, what goes is not */
  constructor(things: ReadonlySet<T>, check: (thing: T) => void, clock: Clock) {
    this.#things = things;
    this.#check = check;
    this.#clock = clock;
  }

  /** Begins a round, unless the last one still goes on. */
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
      // Also when a look at one of them fails: without this no round would be begun any more.
      if (this.#left !== null) setImmediate(() => this.#turn(left));
    }
  }
}
