/** How many may do something at once: in all, and of one asker, so that nobody shuts the others out. */
import { OrkestrError } from '../protocol/errors.ts';

/** When to come again, as who finds none is told, s. */
export const RETRY_AFTER = '5';

export interface SeatLimits {
  readonly inAll: number;
  readonly ofOne: number;
}

/** What is said to who finds none. */
export interface SeatWords {
  readonly inAll: string;
  readonly ofOne: string;
}

export class Seats {
  readonly #limits: SeatLimits;
  readonly #words: SeatWords;
  /** By asker. */
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(limits: SeatLimits, words: SeatWords) {
    this.#limits = limits;
    this.#words = words;
  }

  /** Does `work` on a seat of the asker's. @throws OrkestrError ORK_TOO_MANY_REQUESTS when there is none; and what `work` throws */
  async hold<T>(asker: string, work: () => Promise<T>): Promise<T> {
    const own = this.#taken.get(asker) ?? 0;
    if (own >= this.#limits.ofOne) throw new OrkestrError('ORK_TOO_MANY_REQUESTS', this.#words.ofOne);
    if (this.#all >= this.#limits.inAll) throw new OrkestrError('ORK_TOO_MANY_REQUESTS', this.#words.inAll);
    this.#count(asker, 1);
    try {
      return await work();
    } finally {
      this.#count(asker, -1);
    }
  }

  #count(asker: string, by: 1 | -1): void {
    const own = (this.#taken.get(asker) ?? 0) + by;
    if (own === 0) this.#taken.delete(asker);
    else this.#taken.set(asker, own);
    this.#all += by;
  }
}
