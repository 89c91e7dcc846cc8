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

/** Of clients that nobody has given a rate: all of them may. */
const UNLIMITED: Rate = { intervalMs: 0, atOnce: 1 };
/** Sums of thirds and the like are off by far less; nobody can wait so short. */
const ROUNDING_MS = 0.001;
/** Clients counted per environment: about 1.5 MB when full. */
const MAX_CLIENTS = 10_000;
/** Clients of an environment that other processes are told of at once: about 50 KB. */
const MAX_TOLD = 1_000;
/** When it is full, the one of so many old entries that owes least is forgotten. */
const EVICTION_SAMPLE = 8;

export class Clients {
  /** Client → the time (monotonic, ms) at which all that it asked for will have been within its rate. */
  readonly #paidAt = new Map<string, number>();
  readonly #max: number;
  /** Requests since they were told of last, by client; null: nobody is told. */
  readonly #untold: Map<string, number> | null;
  #rate = UNLIMITED;

  constructor(max: number = MAX_CLIENTS, isShared = false) {
    this.#max = max;
    this.#untold = isShared ? new Map() : null;
  }

  get size(): number {
    return this.#paidAt.size;
  }

  /**
   * From now on this is the rate of each. What they owe is time of the rate before, which may be hours where the new one
   * speaks of seconds: nobody is left with more of it than the new one would have let them take.
   * @param now monotonic, ms
   */
  keepTo(rate: Rate, now: number): void {
    const before = this.#rate;
    this.#rate = rate;
    if (before.intervalMs === rate.intervalMs && before.atOnce === rate.atOnce) return;
    const latest = now + rate.intervalMs * rate.atOnce;
    for (const [client, paidAt] of this.#paidAt) if (paidAt > latest) this.#paidAt.set(client, latest);
  }

  /**
   * Counts one request, if it is within the rate.
   * @param now monotonic, ms
   * @returns 0: it is; else ms until it would be. Refused requests do not count.
   */
  take(client: string, now: number): number {
    const waitMs = this.wait(client, now);
    if (waitMs > 0) return waitMs;
    this.#owe(client, 1, now);
    this.#note(client);
    return 0;
  }

  /** What clients have taken elsewhere is owed here too. */
  add(clients: Taken['clients'], now: number): void {
    for (const [client, requests] of clients) this.#owe(client, requests, now);
  }

  /** What was taken since the last call, of those that took the most. */
  news(): Taken['clients'] {
    if (this.#untold === null || this.#untold.size === 0) return [];
    const all = [...this.#untold];
    this.#untold.clear();
    return all.length <= MAX_TOLD ? all : all.toSorted(([, a], [, b]) => b - a).slice(0, MAX_TOLD);
  }

  /** Where the others are not asked for a while, what is kept for them is bounded, too. */
  #note(client: string): void {
    const untold = this.#untold;
    if (untold === null) return;
    const before = untold.get(client);
    if (before !== undefined || untold.size < this.#max) untold.set(client, (before ?? 0) + 1);
  }

  #owe(client: string, requests: number, now: number): void {
    const known = this.#paidAt.get(client);
    if (known === undefined && this.#paidAt.size >= this.#max) this.#evict();
    this.#paidAt.set(client, Math.max(known ?? now, now) + requests * this.#rate.intervalMs);
  }

  /** As {@link take}, without counting. */
  wait(client: string, now: number): number {
    const { intervalMs, atOnce } = this.#rate;
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

/** What clients of an environment have asked for elsewhere, or here since it was told last. */
export interface Taken {
  readonly upstreamId: string;
  /** Client → its requests: what they cost is a matter of the rate, which may be another one by the time that this is heard. */
  readonly clients: readonly (readonly [client: string, requests: number])[];
}

/** What is counted by client in no environment's name: wrong passwords. */
export const OF_NO_UPSTREAM = '';

/** The clients of each environment. Flips keep them. */
export class ClientRates {
  readonly #upstreams = new Map<string, Clients>();
  readonly #isShared: boolean;

  /** @param isShared other processes serve the same clients, and are told what these have asked for */
  constructor(isShared = false) {
    this.#isShared = isShared;
  }

  of(upstreamId: string): Clients {
    const known = this.#upstreams.get(upstreamId);
    if (known) return known;
    const clients = new Clients(MAX_CLIENTS, this.#isShared);
    this.#upstreams.set(upstreamId, clients);
    return clients;
  }

  /** Counts what was asked of other processes. @param now monotonic, ms @returns what was asked of this one since the last call */
  exchange(elsewhere: readonly Taken[], now: number): Taken[] {
    const taken = [...this.#upstreams].map(([upstreamId, clients]) => ({ upstreamId, clients: clients.news() }));
    for (const { upstreamId, clients } of elsewhere) this.#upstreams.get(upstreamId)?.add(clients, now);
    return taken.filter(({ clients }) => clients.length > 0);
  }

  /** For an upstream that has left the table. */
  forget(upstreamId: string): void {
    this.#upstreams.delete(upstreamId);
  }
}
