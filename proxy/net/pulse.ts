/**
 * How often a process checks the time limits of its connections. It stands still while there are none: the proxy of an
 * idle host does not wake up.
 */
import type { Clock } from '../clock.ts';
import { Sweep } from './sweep.ts';

/** Time between two checks, ms. */
export const CHECK_MS = 500;

export class Pulse {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #sweeps: Pick<Sweep<unknown>, 'begin' | 'isEmpty'>[] = [];
  /** Null while nothing is watched. */
  #timer: NodeJS.Timeout | null = null;
  #now: number;

  constructor(clock: Clock, everyMs = CHECK_MS) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#now = clock.monotonic();
  }

  /** Coarse monotonic time, ms: as old as the last check, while there is something to check. */
  get now(): number {
    return this.#now;
  }

  /**
   * Has the members of a set checked.
   * @param things whoever adds the first one calls {@link wake} before it reads the time
   */
  watch<T>(things: ReadonlySet<T>, check: (thing: T) => void): void {
    this.#sweeps.push(new Sweep(things, check, this.#clock));
  }

  /** There is something to check again. */
  wake(): void {
    if (this.#timer !== null) return;
    this.#now = this.#clock.monotonic();
    this.#timer = setInterval(() => this.#beat(), this.#everyMs).unref();
  }

  #beat(): void {
    this.#now = this.#clock.monotonic();
    for (const sweep of this.#sweeps) sweep.begin();
    if (this.#sweeps.every((sweep) => sweep.isEmpty)) this.#rest();
  }

  #rest(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }
}
