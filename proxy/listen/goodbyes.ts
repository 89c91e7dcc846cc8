/**
 * The goodbyes to streams before a process ends, each by its protocol's word: a client that is told comes again at once,
 * and one that is cut off may take it for a failure. Spread, so that they do not all come in the same moment.
 */
import type { Timeouts } from '../config.ts';
import type { Plane } from '../plane.ts';

/** They take the last half of the time that is left, and no more than this of it, ms. Answers may end by themselves before. */
const LONGEST_MS = 300_000;

export class Goodbyes {
  readonly #plane: Pick<Plane, 'dismissals'>;
  readonly #closeMs: number;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(plane: Pick<Plane, 'dismissals'>, { closeMs }: Pick<Timeouts, 'closeMs'>) {
    this.#plane = plane;
    this.#closeMs = closeMs;
  }

  /**
   * Says them in time before the end, with time for the answers. In place of what was begun before; nobody is told twice.
   * @param leftMs until the end
   */
  begin(leftMs: number): void {
    this.stop();
    const windowMs = Math.min(leftMs / 2, LONGEST_MS);
    // The other side's Close frame, and then its FIN.
    const spreadMs = Math.max(0, windowMs - 2 * this.#closeMs);
    this.#after(leftMs - windowMs, () => {
      const open = this.#plane.dismissals();
      open.forEach((dismiss, index) => this.#after((spreadMs * index) / open.length, dismiss));
      // Those that have come to be streams meanwhile.
      this.#after(spreadMs, () => this.#plane.dismissals().forEach((dismiss) => dismiss()));
    });
  }

  /** Says none any more. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }
}
