/**
 * How much each client has asked for lately, as one number per client: the generic cell rate algorithm (GCRA, ITU-T
 * I.371), which is a token bucket without a timer to fill it. Memory is bounded per environment, so that the many
 * addresses of an attack on one cannot push out the counts of another.
 */

export interface Rate {
  /** Between two requests on average, ms. */
  readonly intervalMs: number;
  /** After a quiet time, this many may come at once. At least 1. */
  readonly atOnce: number;
}

/** Sums of thirds and the like are off by far less; nobody can wait so short. */
const ROUNDING_MS = 0.001;
/** Clients counted per environment: about 1.5 MB when full. */
const MAX_CLIENTS = 10_000;
/** When it is full, the one of so many old entries that owes least is forgotten. */
const EVICTION_SAMPLE = 8;

export class Clients {
  /** Client → the time (monotonic, ms) at which all that it asked for will have been within its rate. */
  readonly #paidAt = new Map<string, number>();
  readonly #max: number;

  constructor(max: number = MAX_CLIENTS) {
    this.#max = max;
  }

  get size(): number {
    return this.#paidAt.size;
  }

  /**
   * Counts one request, if it is within the rate.
   * @param now monotonic, ms
   * @returns 0: it is; else ms until it would be. Refused requests do not count.
   */
  take(client: string, rate: Rate, now: number): number {
    const waitMs = this.wait(client, rate, now);
    if (waitMs > 0) return waitMs;
    const known = this.#paidAt.get(client);
    if (known === undefined && this.#paidAt.size >= this.#max) this.#evict();
    this.#paidAt.set(client, Math.max(known ?? now, now) + rate.intervalMs);
    return 0;
  }

  /** As {@link take}, without counting. */
  wait(client: string, { intervalMs, atOnce }: Rate, now: number): number {
    const paidAt = this.#paidAt.get(client) ?? now;
    const waitMs = paidAt - now - intervalMs * (atOnce - 1);
    return waitMs < ROUNDING_MS ? 0 : waitMs;
  }

  /** Whoever asks much stays counted while those who asked once come and go. */
  #evict(): void {
    let left = EVICTION_SAMPLE;
    let least: string | null = null;
    let leastPaidAt = Infinity;
    for (const [client, paidAt] of this.#paidAt) {
      if (paidAt < leastPaidAt) {
        least = client;
        leastPaidAt = paidAt;
      }
      if (--left === 0) break;
    }
    if (least !== null) this.#paidAt.delete(least);
  }
}

/** The clients of each environment. Flips keep them. */
export class ClientRates {
  readonly #upstreams = new Map<string, Clients>();

  of(upstreamId: string): Clients {
    const known = this.#upstreams.get(upstreamId);
    if (known) return known;
    const clients = new Clients();
    this.#upstreams.set(upstreamId, clients);
    return clients;
  }

  /** For an upstream that has left the table. */
  forget(upstreamId: string): void {
    this.#upstreams.delete(upstreamId);
  }
}
