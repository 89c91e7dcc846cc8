/** A token bucket: tokens come back with time, and by what was done for them. */

interface Limits {
  /** At the beginning, and at most by time alone. */
  readonly burst: number;
  readonly perSecond: number;
  /** At most with what was earned; `burst` when absent. */
  readonly most?: number;
}

export class TokenBucket {
  readonly #limits: Limits;
  #tokens: number;
  #at: number;

  /** @param now monotonic, ms */
  constructor(limits: Limits, now: number) {
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#at = now;
  }

  /** False when there are not so many: none is taken then. @param now monotonic, ms */
  take(now: number, cost = 1): boolean {
    const { burst, perSecond } = this.#limits;
    if (this.#tokens < burst) this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Some come back by what was done for them. */
  earn(tokens: number): void {
    const { burst, most = burst } = this.#limits;
    this.#tokens = Math.min(most, this.#tokens + tokens);
  }
}
