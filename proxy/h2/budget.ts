/** A credit that comes back with time. */
interface BudgetLimits {
  /** At the beginning, and at most by time alone. */
  readonly burst: number;
  readonly perSecond: number;
  /** At most with what was earned; `burst` when absent. */
  readonly most?: number;
}

export class Budget {
  readonly #limits: BudgetLimits;
  #credit: number;
  #at: number;

  /** @param now monotonic, ms */
  constructor(limits: BudgetLimits, now: number) {
    this.#limits = limits;
    this.#credit = limits.burst;
    this.#at = now;
  }

  /** False when it is used up. */
  take(now: number, cost = 1): boolean {
    const { burst, perSecond } = this.#limits;
    if (this.#credit < burst) this.#credit = Math.min(burst, this.#credit + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#credit < cost) return false;
    this.#credit -= cost;
    return true;
  }

  /** Some of it comes back by what was done for it. */
  earn(credit: number): void {
    const { burst, most = burst } = this.#limits;
    this.#credit = Math.min(most, this.#credit + credit);
  }
}
