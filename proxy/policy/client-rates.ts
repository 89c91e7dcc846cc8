/**
 * How much each client has requested lately, as one number per client: the generic cell rate algorithm (GCRA, ITU-T
 * I.371), a token bucket that needs no timer to fill it. Memory is limited per environment, so that an attack on one
 * environment from many addresses cannot push out the counts of another.
 */

export interface Rate {
  /** Average time between two requests, ms. */
  readonly intervalMs: number;
  /** How many may come at once after a quiet time. At least 1. */
  readonly atOnce: number;
}

/** The rate before `keepTo` sets one: no limit. */
const UNLIMITED: Rate = { intervalMs: 0, atOnce: 1 };
/** Waits below this are rounding errors of sums of thirds and the like, ms. */
const ROUNDING_MS = 0.001;
/** Clients counted per environment; about 1.5 MB when full. */
const MAX_CLIENTS = 10_000;
/** Clients of an environment that one report to other processes may hold; about 50 KB. */
const MAX_REPORTED = 1_000;
/** When the map is full, the entry that owes least among this many of the oldest is dropped. */
const EVICTION_SAMPLE = 8;

export class Clients {
  /** Client → the time (monotonic, ms) from which all its requests are within its rate. */
  readonly #paidAt = new Map<string, number>();
  readonly #max: number;
  /** Requests per client since the last report to other processes; null: there are none to report to. */
  readonly #unreported: Map<string, number> | null;
  #rate = UNLIMITED;

  constructor(max: number = MAX_CLIENTS, isShared = false) {
    this.#max = max;
    this.#unreported = isShared ? new Map() : null;
  }

  get size(): number {
    return this.#paidAt.size;
  }

  /**
   * Sets the rate of every client. Debts were counted at the previous rate, which may make them hours where the new
   * rate counts in seconds, so each debt is reduced to the most that the new rate allows.
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
   * Counts one request if it is within the rate.
   * @param now monotonic, ms
   * @returns 0 if it is, else ms until it would be. Refused requests do not count.
   */
  take(client: string, now: number): number {
    const waitMs = this.wait(client, now);
    if (waitMs > 0) return waitMs;
    this.#owe(client, 1, now);
    this.#note(client);
    return 0;
  }

  /** Counts requests that clients have made to other processes. */
  add(clients: Taken['clients'], now: number): void {
    for (const [client, requests] of clients) this.#owe(client, requests, now);
  }

  /** The requests since the last call, of the clients with the most. */
  news(): Taken['clients'] {
    if (this.#unreported === null || this.#unreported.size === 0) return [];
    const all = [...this.#unreported];
    this.#unreported.clear();
    return all.length <= MAX_REPORTED ? all : all.toSorted(([, a], [, b]) => b - a).slice(0, MAX_REPORTED);
  }

  /** Limits what is kept for the report too, in case nobody collects it for a while. */
  #note(client: string): void {
    const unreported = this.#unreported;
    if (unreported === null) return;
    const before = unreported.get(client);
    if (before !== undefined || unreported.size < this.#max) unreported.set(client, (before ?? 0) + 1);
  }

  #owe(client: string, requests: number, now: number): void {
    const known = this.#paidAt.get(client);
    if (known === undefined && this.#paidAt.size >= this.#max) this.#evict();
    this.#paidAt.set(client, Math.max(known ?? now, now) + requests * this.#rate.intervalMs);
  }

  /** Like {@link take}, without counting. */
  wait(client: string, now: number): number {
    const { intervalMs, atOnce } = this.#rate;
    const paidAt = this.#paidAt.get(client) ?? now;
    const waitMs = paidAt - now - intervalMs * (atOnce - 1);
    return waitMs < ROUNDING_MS ? 0 : waitMs;
  }

  /** Clients with many requests stay counted, while clients with a single one come and go. */
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

/** Requests of an environment's clients to other processes, or to this one since the last report. */
export interface Taken {
  readonly upstreamId: string;
  /** Client → number of requests. What they cost depends on the rate, which may have changed when this is received. */
  readonly clients: readonly (readonly [client: string, requests: number])[];
}

/** Stands for counts per client that belong to no environment: wrong passwords. */
export const OF_NO_UPSTREAM = '';

/** The clients of each environment. Survives flips. */
export class ClientRates {
  readonly #upstreams = new Map<string, Clients>();
  readonly #isShared: boolean;

  /** @param isShared other processes serve the same clients, and get reports of the requests made here */
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

  /**
   * Counts requests made to other processes.
   * @param now monotonic, ms
   * @returns those made to this one since the last call
   */
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
