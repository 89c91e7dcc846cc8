/**
 * Several planes as one. The group remembers what a plane that joins later must know: entries, holds, open watches. It
 * records each change and sends it to all members in one synchronous step, so that a plane that joins cannot miss one.
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

/** How often planes exchange client rates, ms. A plane learns of another's requests after at most twice this. */
const EXCHANGE_MS = 100;
/** How often shares of `maxConcurrent` are reviewed, ms: a client with a single connection needs most of one share. */
const CONCURRENCY_MS = 25;

interface OpenWatch {
  readonly upstreamId: string;
  readonly targetId: string;
  readonly listener: TallyListener;
  readonly stops: Map<Planes, () => void>;
}

export class PlaneGroup implements Planes {
  readonly #members = new Set<Planes>();
  /** The members that this process has started. */
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

  /** @param shares into how many parts a limit is split that holds for all planes together */
  constructor(shares: number, log: Logger) {
    this.#shares = shares;
    this.#log = log;
    this.#concurrency = new ConcurrencyShares(shares);
    if (shares === 1) return;
    // Skipped while no environment has a rate or a password.
    const haveRates = (): boolean => [...this.#entries.values()].some(isCountedByClient);
    const rates = async (): Promise<void> => (haveRates() ? this.#rates.round([...this.#joined]) : undefined);
    startRounds(EXCHANGE_MS, rates, log);
    startRounds(CONCURRENCY_MS, () => this.#concurrency.round([...this.#joined]), log);
  }

  get holds(): readonly HoldRequest[] {
    return [...this.#holds.values()];
  }

  /** Adds a new plane and sends it the whole state. It must not serve yet: later calls queue up behind these. */
  join(member: Planes): void {
    for (const entry of this.#entries.values()) this.#logFailure(member.put(entry));
    for (const hold of this.#holds.values()) this.#logFailure(member.hold(this.#shareOfHold(hold)));
    if (this.#lost) this.#logFailure(member.lose(true));
    this.#joined.add(member);
    this.#shareConcurrency(this.#entries.values());
    this.adopt(member);
  }

  /** Adds a plane that has the table already, but not the TLS state that applies from now on. */
  adopt(member: Planes): void {
    this.#members.add(member);
    this.#logFailure(member.secure(this.#tls));
    for (const watch of this.#watches) this.#watchAt(watch, member);
  }

  /** Removes a plane that has gone; its counts stay in the sums. */
  leave(member: Planes): void {
    this.#members.delete(member);
    this.#joined.delete(member);
    this.#concurrency.leave(member);
    this.#departed.left(member, this.#entries);
    for (const { stops } of this.#watches) stops.delete(member);
  }

  /** Receives the last counts of a plane that is about to leave. */
  hearLast(member: Planes, { counts, metrics }: LastWords): void {
    this.#departed.recordCounts(member, counts);
    this.#departed.recordMetrics(member, metrics);
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
   * Counts a drain that was requested here; a successor counts its own. An environment that has left the table has no
   * metrics any more.
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
      if (this.#members.has(member)) this.#departed.recordCounts(member, counts);
      return { member, answer: counts };
    });
    return sumCounts([...this.#ofThoseStillHere(all), this.#departed.counts(this.#entries, id)]);
  }

  async metrics(): Promise<MetricsSnapshot[]> {
    const all = await this.#all(async (member) => {
      const metrics = await member.metrics();
      if (this.#members.has(member)) this.#departed.recordMetrics(member, metrics);
      return { member, answer: metrics };
    });
    return [...this.#ofThoseStillHere(all).flat(), this.#departed.metrics, { families: this.#drains.collect() }];
  }

  /** Called by the successor. This process only finishes its last responses, so it has nothing to report. */
  exchangeRates(): Promise<readonly Taken[]> {
    return Promise.resolve([]);
  }

  /** Called by the successor, too. */
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

  /** Sent in the same turn as the entries, so that no plane ever serves one without its share. */
  #shareConcurrency(entries: Iterable<UpstreamEntry>): void {
    if (this.#shares === 1) return;
    const limited = [...entries];
    for (const member of this.#joined) {
      const shares = this.#concurrency.sharesOf(member, limited);
      if (shares.length > 0) this.#logFailure(member.shareConcurrency(shares));
    }
  }

  #logFailure(update: Promise<unknown>): void {
    update.catch((error: unknown) => this.#log.error({ err: error }, 'a plane did not get all of the table'));
  }

  #all<T>(ask: (member: Planes) => Promise<T>): Promise<T[]> {
    return Promise.all([...this.#members].map(ask));
  }

  /** Drops the answers of planes that left while others had yet to answer: those counts are in `#departed` already. */
  #ofThoseStillHere<T>(all: readonly { readonly member: Planes; readonly answer: T }[]): T[] {
    return all.filter(({ member }) => this.#members.has(member)).map(({ answer }) => answer);
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

/** Rates and wrong passwords are both counted per client. */
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
