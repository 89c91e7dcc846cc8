/**
 * Several planes as one. It remembers what a plane must know that joins later: entries, holds, open watches. A change is
 * remembered first and told to all then, in one synchronous act, so that none that joins meanwhile can miss it.
 */
import type { DrainAnswer, FlipAnswer, HoldAnswer, HoldRequest, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { DrainMetrics } from '../observe/drain-metrics.ts';
import type { MetricsSnapshot } from '../observe/snapshot.ts';
import type { Taken } from '../policy/client-rates.ts';
import type { TerminatorChange } from '../tls/state.ts';
import { sumCounts } from '../upstream/counts.ts';
import type { UpstreamCounts } from '../upstream/counts.ts';
import { isMove } from '../upstream/move.ts';
import type { ConcurrencyUse } from '../upstream/concurrency.ts';
import type { TallyListener } from '../upstream/tally.ts';
import { Departed } from './departed.ts';
import type { LastWords, Planes } from './planes.ts';
import { RateExchange } from './rate-exchange.ts';
import { ConcurrencyShares } from './concurrency.ts';
import { startRounds } from './rounds.ts';

/** How long a client that asks several planes at once is counted by each for itself, ms: twice this at most. */
const EXCHANGE_MS = 100;
/** How often limits on requests at once are looked at, ms: a client that comes by one connection needs most of one. */
const CONCURRENCY_MS = 25;

interface OpenWatch {
  readonly upstreamId: string;
  readonly targetId: string;
  readonly listener: TallyListener;
  readonly stops: Map<Planes, () => void>;
}

export class PlaneGroup implements Planes {
  readonly #members = new Set<Planes>();
  /** Of those the ones that this process has begun. */
  readonly #joined = new Set<Planes>();
  readonly #entries = new Map<string, UpstreamEntry>();
  readonly #holds = new Map<string, HoldRequest>();
  readonly #watches = new Set<OpenWatch>();
  readonly #departed = new Departed();
  readonly #drains = new DrainMetrics();
  readonly #shares: number;
  readonly #log: Logger;
  #lost = false;
  #tls: TerminatorChange = {};
  readonly #rates = new RateExchange();
  readonly #concurrency: ConcurrencyShares;

  /** @param shares of a bound that counts for all planes together, each gets one part of so many */
  constructor(shares: number, log: Logger) {
    this.#shares = shares;
    this.#log = log;
    this.#concurrency = new ConcurrencyShares(shares);
    if (shares === 1) return;
    // None where no environment has a rate or a password.
    const haveRates = (): boolean => [...this.#entries.values()].some(isCountedByClient);
    const rates = async (): Promise<void> => (haveRates() ? this.#rates.round([...this.#joined]) : undefined);
    startRounds(EXCHANGE_MS, rates, log);
    startRounds(CONCURRENCY_MS, () => this.#concurrency.round([...this.#joined]), log);
  }

  get holds(): readonly HoldRequest[] {
    return [...this.#holds.values()];
  }

  /** Tells a new plane all there is. It must serve nobody before that: what is sent to it later comes after this. */
  join(member: Planes): void {
    for (const entry of this.#entries.values()) this.#tell(member.put(entry));
    for (const hold of this.#holds.values()) this.#tell(member.hold(this.#shareOfHold(hold)));
    if (this.#lost) this.#tell(member.lose(true));
    this.#joined.add(member);
    this.#shareConcurrency(this.#entries.values());
    this.adopt(member);
  }

  /** Takes in a plane that knows the table already, and not how TLS is ended from now on. */
  adopt(member: Planes): void {
    this.#members.add(member);
    this.#tell(member.secure(this.#tls));
    for (const watch of this.#watches) this.#watchAt(watch, member);
  }

  /** It has gone; what it had counted stays. */
  leave(member: Planes): void {
    this.#members.delete(member);
    this.#joined.delete(member);
    this.#concurrency.leave(member);
    this.#departed.left(member, this.#entries);
    for (const { stops } of this.#watches) stops.delete(member);
  }

  /** The last words of a plane that is about to leave. */
  hearLast(member: Planes, { counts, metrics }: LastWords): void {
    this.#departed.hearCounts(member, counts);
    this.#departed.hearMetrics(member, metrics);
  }

  async put(entry: UpstreamEntry): Promise<FlipAnswer['previous']> {
    const known = this.#entries.get(entry.id);
    if (!known || !isMove(known, entry)) this.#departed.flipped(entry.id);
    this.#entries.set(entry.id, entry);
    this.#holds.delete(entry.id);
    const previous = this.#all((member) => member.put(entry));
    this.#shareConcurrency([entry]);
    return sumPrevious((await previous).filter((one) => one !== null));
  }

  async amend(entry: UpstreamEntry): Promise<void> {
    this.#entries.set(entry.id, entry);
    const amended = this.#all((member) => member.amend(entry));
    this.#shareConcurrency([entry]);
    await amended;
  }

  async remove(id: string): Promise<string[]> {
    this.#entries.delete(id);
    this.#departed.removed(id);
    this.#drains.forget(id);
    this.#concurrency.remove(id);
    this.#holds.delete(id);
    return [...new Set((await this.#all((member) => member.remove(id))).flat())];
  }

  async drain(request: Parameters<Planes['drain']>[0], given: AbortSignal | null): Promise<DrainAnswer> {
    const all = await this.#all((member) => member.drain(request, given));
    const sum = (of: (one: DrainAnswer) => number): number => all.reduce((total, one) => total + of(one), 0);
    return {
      known: all.some(({ known }) => known),
      ms: Math.max(0, ...all.map(({ ms }) => ms)),
      forced: sum(({ forced }) => forced),
      streams: {
        carried: sum(({ streams }) => streams.carried),
        ended: sum(({ streams }) => streams.ended),
        closed: sum(({ streams }) => streams.closed),
      },
      requests: { served: sum(({ requests }) => requests.served), failed: sum(({ requests }) => requests.failed) },
    };
  }

  /**
   * A drain that was asked of this process, and not by its successor: that counts its own. An environment that has left
   * the table has no figures any more.
   */
  drained(upstreamId: string, answer: DrainAnswer): void {
    if (this.#entries.has(upstreamId)) this.#drains.ended(upstreamId, answer);
  }

  async hold(request: HoldRequest): Promise<HoldAnswer> {
    if (this.#entries.has(request.upstreamId)) this.#holds.set(request.upstreamId, request);
    return sumHeld(await this.#all((member) => member.hold(this.#shareOfHold(request))));
  }

  async resume(id: string): Promise<HoldAnswer> {
    this.#holds.delete(id);
    return sumHeld(await this.#all((member) => member.resume(id)));
  }

  watch(upstreamId: string, targetId: string, listener: TallyListener): () => void {
    const watch: OpenWatch = { upstreamId, targetId, listener, stops: new Map() };
    this.#watches.add(watch);
    for (const member of this.#members) this.#watchAt(watch, member);
    return () => {
      this.#watches.delete(watch);
      for (const stop of watch.stops.values()) stop();
    };
  }

  async counts(id?: string): Promise<UpstreamCounts[]> {
    const all = await this.#all(async (member) => {
      const counts = await member.counts(id);
      if (this.#members.has(member)) this.#departed.hearCounts(member, counts);
      return { member, told: counts };
    });
    return sumCounts([...this.#ofThoseStillHere(all), this.#departed.counts(this.#entries, id)]);
  }

  async metrics(): Promise<MetricsSnapshot[]> {
    const all = await this.#all(async (member) => {
      const metrics = await member.metrics();
      if (this.#members.has(member)) this.#departed.hearMetrics(member, metrics);
      return { member, told: metrics };
    });
    return [...this.#ofThoseStillHere(all).flat(), this.#departed.metrics, { families: this.#drains.collect() }];
  }

  /** Asked of this process by its successor: what is left here is on its last answers. */
  exchangeRates(): Promise<readonly Taken[]> {
    return Promise.resolve([]);
  }

  /** Asked of this process by its successor, too. */
  shareConcurrency(): Promise<readonly ConcurrencyUse[]> {
    return Promise.resolve([]);
  }

  async lose(lost: boolean): Promise<void> {
    this.#lost = lost;
    await this.#all((member) => member.lose(lost));
  }

  async secure(change: TerminatorChange): Promise<void> {
    this.#tls = { ...this.#tls, ...change };
    await this.#all((member) => member.secure(change));
  }

  /** Right behind the entries, in the same turn: no plane has a moment without its share. */
  #shareConcurrency(entries: Iterable<UpstreamEntry>): void {
    if (this.#shares === 1) return;
    const limited = [...entries];
    for (const member of this.#joined) {
      const shares = this.#concurrency.sharesOf(member, limited);
      if (shares.length > 0) this.#tell(member.shareConcurrency(shares));
    }
  }

  #tell(told: Promise<unknown>): void {
    told.catch((error: unknown) => this.#log.error({ err: error }, 'a plane could not be told all of the table'));
  }

  #all<T>(ask: (member: Planes) => Promise<T>): Promise<T[]> {
    return Promise.all([...this.#members].map(ask));
  }

  /** What one has told that went while others had yet to answer is among what the departed had counted. */
  #ofThoseStillHere<T>(all: readonly { readonly member: Planes; readonly told: T }[]): T[] {
    return all.filter(({ member }) => this.#members.has(member)).map(({ told }) => told);
  }

  #watchAt({ upstreamId, targetId, listener, stops }: OpenWatch, member: Planes): void {
    stops.set(member, member.watch(upstreamId, targetId, listener));
  }

  #shareOfHold(hold: HoldRequest): HoldRequest {
    const { maxRequests, maxBytes } = hold;
    return { ...hold, maxRequests: this.#part(maxRequests), maxBytes: Math.floor(maxBytes / this.#shares) };
  }

  #part(bound: number): number {
    return Math.max(1, Math.floor(bound / this.#shares));
  }
}

/** Rates, and wrong passwords: both are counted by client. */
function isCountedByClient({ edge }: UpstreamEntry): boolean {
  return edge.ratePerClient !== undefined || edge.basicAuth.length > 0;
}

function sumHeld(all: readonly HoldAnswer[]): HoldAnswer {
  return {
    held: all.reduce((total, { held }) => total + held, 0),
    changed: all.some(({ changed }) => changed),
  };
}

function sumPrevious(all: readonly NonNullable<FlipAnswer['previous']>[]): FlipAnswer['previous'] {
  const [first] = all;
  if (!first) return null;
  const sum = (of: (one: NonNullable<FlipAnswer['previous']>) => number): number =>
    all.reduce((total, one) => total + of(one), 0);
  return {
    targetId: first.targetId,
    inFlight: sum(({ inFlight }) => inFlight),
    streams: sum(({ streams }) => streams),
    requests: { served: sum(({ requests }) => requests.served), failed: sum(({ requests }) => requests.failed) },
  };
}
