/**
 * The data plane of one process: the upstreams, and the router over their routes. It is not the source of truth; the
 * table (control/table.ts) decides what it serves.
 */
import { OrkestrError } from '../protocol/errors.ts';
import type {
  DrainAnswer,
  DrainRequest,
  FlipAnswer,
  HoldAnswer,
  HoldRequest,
  UpstreamEntry,
} from '../protocol/proxy-admin.ts';
import type { Clock } from './clock.ts';
import type { Observer } from './observe/observer.ts';
import type { CompileRoutes } from './routing/compile.ts';
import type { Route } from './routing/route.ts';
import { buildRouter } from './routing/router.ts';
import type { HostRoutes, Router } from './routing/router.ts';
import type { UpstreamCounts } from './upstream/counts.ts';
import type { ConcurrencyShare, ConcurrencyUse } from './upstream/concurrency.ts';
import type { TallyListener } from './upstream/tally.ts';
import { Upstream } from './upstream/upstream.ts';

interface Served {
  readonly upstream: Upstream;
  readonly routes: readonly Route[];
}

export class Plane {
  readonly #clock: Clock;
  readonly #observer: Observer;
  readonly #compile: CompileRoutes;
  #served: ReadonlyMap<string, Served> = new Map();
  #router: Router<Route> = buildRouter([]);
  /** Removed upstreams that still have work in flight. They can be drained, and are forgotten once they are empty. */
  #leaving: readonly Upstream[] = [];

  #lost = false;

  constructor(clock: Clock, observer: Observer, compile: CompileRoutes) {
    this.#clock = clock;
    this.#observer = observer;
    this.#compile = compile;
  }

  /** True when the saved table could not be read, so that routes are missing that nobody removed. */
  get isTableLost(): boolean {
    return this.#lost;
  }

  lose(lost: boolean): void {
    this.#lost = lost;
  }

  /** Read once per request; every change replaces the router. */
  get router(): Router<Route> {
    return this.#router;
  }

  /** @param host normalised */
  routesOf(host: string): HostRoutes<Route> | null {
    return this.#router.of(host);
  }

  /**
   * Synchronous, so every claim sees either the old or the new entry.
   * @returns what served before; null when nothing did, or when the same target still serves
   */
  put(entry: UpstreamEntry): FlipAnswer['previous'] {
    const known = this.#served.get(entry.id)?.upstream;
    const previous = known?.apply(entry) ?? null;
    this.#serve(known ?? new Upstream(entry, this.#clock));
    return previous;
  }

  /** Keeps the active targets and changes the canary, the routes or the settings. */
  amend(entry: UpstreamEntry): void {
    const upstream = this.#upstream(entry.id);
    upstream.amend(entry);
    this.#serve(upstream);
  }

  /** Work in flight ends by itself or by a drain. Returns the ids of the upstream's targets. */
  remove(id: string): string[] {
    const upstream = this.#served.get(id)?.upstream;
    if (!upstream) return [];
    this.#swap(new Map([...this.#served].filter(([key]) => key !== id)));
    upstream.retire();
    this.#observer.forget(id);
    this.#leaving = [upstream, ...this.#leaving].filter((one) => one.targets().some(({ inFlight }) => inFlight > 0));
    return [...new Set(upstream.targets().map((target) => target.id))];
  }

  /** @throws OrkestrError ORK_CONFLICT for a target that serves */
  drain({ upstreamId, targetId, ...seconds }: DrainRequest, given: AbortSignal | null = null): Promise<DrainAnswer> {
    const upstream = this.#known(upstreamId);
    const none = { carried: 0, ended: 0, closed: 0 };
    if (!upstream) {
      return Promise.resolve({ known: false, ms: 0, forced: 0, streams: none, requests: { served: 0, failed: 0 } });
    }
    const plan = {
      deadlineMs: seconds.deadlineSeconds * 1000,
      streamDeadlineMs: seconds.streamDeadlineSeconds * 1000,
      spreadMs: seconds.spreadSeconds * 1000,
    };
    return upstream.drain(targetId, plan, given);
  }

  /** @throws OrkestrError ORK_NOT_FOUND */
  hold({ upstreamId, maxRequests, maxBytes, maxSeconds }: HoldRequest): HoldAnswer {
    return this.#upstream(upstreamId).hold({ maxRequests, maxBytes, maxMs: maxSeconds * 1000 });
  }

  /** @throws OrkestrError ORK_NOT_FOUND */
  resume(id: string): HoldAnswer {
    return this.#upstream(id).resume();
  }

  /**
   * @param listener is first called with the counts since the target became active, within this call
   * @returns ends the watch
   */
  watch(upstreamId: string, targetId: string, listener: TallyListener): () => void {
    return this.#served.get(upstreamId)?.upstream.watch(targetId, listener) ?? (() => undefined);
  }

  /** @param shares the `maxConcurrent` shares that have changed @returns the use of every upstream with such a limit */
  shareConcurrency(shares: readonly ConcurrencyShare[]): ConcurrencyUse[] {
    for (const { id, part } of shares) this.#served.get(id)?.upstream.setShare(part);
    return this.upstreams().flatMap((upstream) => upstream.concurrencyUse() ?? []);
  }

  /** The upstreams that are served, without those that are leaving. */
  upstreams(): readonly Upstream[] {
    return [...this.#served.values()].map(({ upstream }) => upstream);
  }

  /** Counts of all upstreams that are served, or of one, which may be leaving. */
  counts(id?: string): UpstreamCounts[] {
    if (id === undefined) return this.upstreams().map((upstream) => upstream.counts());
    const upstream = this.#known(id);
    return upstream ? [upstream.counts()] : [];
  }

  /** For each stream in flight, a function that closes it as its protocol prescribes. For the end of the process. */
  dismissals(): readonly (() => void)[] {
    return this.#all().flatMap((upstream) => upstream.dismissals());
  }

  /** Ends everything in flight now. For the end of the process. */
  cut(): void {
    for (const upstream of this.#all()) upstream.cut();
  }

  #all(): readonly Upstream[] {
    return [...this.upstreams(), ...this.#leaving];
  }

  #known(id: string): Upstream | undefined {
    return this.#served.get(id)?.upstream ?? this.#leaving.find((one) => one.id === id);
  }

  #upstream(id: string): Upstream {
    const upstream = this.#served.get(id)?.upstream;
    if (upstream) return upstream;
    throw new OrkestrError('ORK_NOT_FOUND', 'The table has no such upstream.');
  }

  #serve(upstream: Upstream): void {
    const served = { upstream, routes: this.#compile(upstream, this.#observer) };
    this.#swap(new Map([...this.#served, [upstream.id, served]]));
  }

  #swap(served: ReadonlyMap<string, Served>): void {
    this.#router = buildRouter([...served.values()].flatMap(({ routes }) => routes));
    this.#served = served;
  }
}
