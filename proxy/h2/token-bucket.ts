/** A token bucket that is refilled over time, and by tokens earned. */

interface Limits {
  /** The initial number of tokens, and the maximum that time alone restores. */
  readonly burst: number;
  readonly perSecond: number;
  /** The maximum that earned tokens add up to; default: `burst`. */
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

  /** Returns false, and takes nothing, when there are not enough tokens. @param now monotonic, ms */
  take(now: number, cost = 1): boolean {
    const { burst, perSecond } = this.#limits;
    if (this.#tokens < burst) this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Adds earned tokens. */
  earn(tokens: number): void {
    const { burst, most = burst } = this.#limits;
    this.#tokens = Math.min(most, this.#tokens + tokens);
  }
}
