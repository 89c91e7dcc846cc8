/**
 * Limits concurrent work, in total and per asker (a token, a deployment, a project), so that none shuts out the others.
 */
import { OrkestrError } from '../protocol/errors.ts';

/** Retry-After of a refused request, s. */
export const RETRY_AFTER = '5';

export interface ConcurrencyLimits {
  readonly inAll: number;
  readonly ofOne: number;
}

/** Error messages of refused requests. */
export interface LimitMessages {
  readonly inAll: string;
  readonly ofOne: string;
}

export class ConcurrencyLimit {
  readonly #limits: ConcurrencyLimits;
  readonly #messages: LimitMessages;
  /** By asker. */
  readonly #running = new Map<string, number>();
  #all = 0;

  constructor(limits: ConcurrencyLimits, messages: LimitMessages) {
    this.#limits = limits;
    this.#messages = messages;
  }

  /**
   * Runs `work` within the limit.
   * @throws OrkestrError ORK_TOO_MANY_REQUESTS when it is reached; and what `work` throws
   */
  async run<T>(asker: string, work: () => Promise<T>): Promise<T> {
    const own = this.#running.get(asker) ?? 0;
    if (own >= this.#limits.ofOne) throw new OrkestrError('ORK_TOO_MANY_REQUESTS', this.#messages.ofOne);
    if (this.#all >= this.#limits.inAll) throw new OrkestrError('ORK_TOO_MANY_REQUESTS', this.#messages.inAll);
    this.#count(asker, 1);
    try {
      return await work();
    } finally {
      this.#count(asker, -1);
    }
  }

  #count(asker: string, by: 1 | -1): void {
    const own = (this.#running.get(asker) ?? 0) + by;
    if (own === 0) this.#running.delete(asker);
    else this.#running.set(asker, own);
    this.#all += by;
  }
}
