/**
 * How often a process checks the time limits of its connections. It stands still while there are none: the proxy of an
 * idle host does not wake up.
 */
import type { Clock } from '../clock.ts';
import { Sweep } from './sweep.ts';

/** A round of checks for the members of one set. */
interface Round {
  readonly isOver: boolean;
  begin(): void;
}

export class Pulse {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #rounds: Round[] = [];
  #timer: NodeJS.Timeout | null = null;
  #now: number;

  /** @param everyMs interval between checks, ms */
  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#now = clock.monotonic();
  }

  /** Coarse monotonic time, ms: as old as the last check, while anything is watched. */
  get now(): number {
    return this.#now;
  }

  /** @param things whoever adds the first one calls {@link wake} before it reads the time */
  watch<T>(things: ReadonlySet<T>, check: (thing: T) => void): void {
    const sweep = new Sweep(things, check, this.#clock);
    this.#rounds.push({
      get isOver() {
        return things.size === 0;
      },
      begin: () => sweep.begin(),
    });
  }

  /** There is something to check again. */
  wake(): void {
    if (this.#timer !== null) return;
    this.#now = this.#clock.monotonic();
    this.#timer = setInterval(() => this.#beat(), this.#everyMs).unref();
  }

  #beat(): void {
    this.#now = this.#clock.monotonic();
    for (const round of this.#rounds) round.begin();
    if (this.#timer === null || !this.#rounds.every((round) => round.isOver)) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
