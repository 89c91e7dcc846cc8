/**
 * Closes streams before a process ends, each as its protocol prescribes: a client that is notified reconnects at once,
 * while one that is cut off may report a failure. The goodbyes are spread, so that not all clients reconnect at once.
 */
import type { Timeouts } from '../config.ts';
import type { Plane } from '../plane.ts';

/** They take the second half of the time left, at most this long, ms. Before that, responses may end by themselves. */
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
   * Schedules the goodbyes so that clients can respond before the end. Replaces an earlier schedule, but no stream gets
   * two goodbyes.
   * @param leftMs until the end
   */
  begin(leftMs: number): void {
    this.stop();
    const windowMs = Math.min(leftMs / 2, LONGEST_MS);
    // Leave time for the peer's Close frame, and then for its FIN.
    const spreadMs = Math.max(0, windowMs - 2 * this.#closeMs);
    this.#after(leftMs - windowMs, () => {
      const open = this.#plane.dismissals();
      open.forEach((dismiss, index) => this.#after((spreadMs * index) / open.length, dismiss));
      // Exchanges that have become streams meanwhile.
      this.#after(spreadMs, () => this.#plane.dismissals().forEach((dismiss) => dismiss()));
    });
  }

  /** Cancels the goodbyes that are still scheduled. */
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
