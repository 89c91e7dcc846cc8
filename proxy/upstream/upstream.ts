/**
 * The named group of targets of an environment. A flip swaps the active targets in one synchronous act, so that every
 * claim is on the old target or on the new one; claimed requests end where they began.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { DrainAnswer, FlipAnswer, TableView, TargetAddress, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import { Target } from './target.ts';
import type { DrainPlan, InFlight } from './target.ts';

/** Targets that are gone and yet kept, so that a drain asked for again is answered with its counts. */
const GONE_KEPT = 4;

export class Upstream {
  readonly #clock: Clock;
  #entry: UpstreamEntry;
  #active: readonly Target[];
  #retired: readonly Target[] = [];
  #failed = 0;

  constructor(entry: UpstreamEntry, clock: Clock) {
    this.#clock = clock;
    this.#entry = entry;
    this.#active = entry.targets.map((address) => new Target(address));
  }

  get id(): string {
    return this.#entry.id;
  }

  get entry(): UpstreamEntry {
    return this.#entry;
  }

  /**
   * Pick and count in one synchronous act. Null when no target takes requests.
   * @param refusing a target that refused this very exchange: another one is preferred
   */
  claim(exchange: InFlight, refusing: Target | null = null): Target | null {
    const target = this.#pick(refusing);
    return target?.claim(exchange) ? target : null;
  }

  /** A response 502, 503 or 504 that the proxy gave itself. */
  countFailure(): void {
    this.#failed += 1;
  }

  /** Synchronous: the next claim is on the new targets. Answers what served before; null when the same still does. */
  apply(entry: UpstreamEntry): FlipAnswer['previous'] {
    const [before] = this.#active;
    const replaced = before !== undefined && before.id !== entry.targets[0]?.id;
    const previous = replaced ? this.#previous(before.id) : null;
    if (!sameAddresses(this.#entry.targets, entry.targets)) this.#replace(entry.targets);
    this.#entry = entry;
    return previous;
  }

  /**
   * @throws OrkestrError ORK_CONFLICT for the active target: it would have to be stopped under traffic
   */
  async drain(targetId: string, plan: DrainPlan): Promise<DrainAnswer> {
    if (this.#active.some(({ id, state }) => id === targetId && state === 'healthy')) {
      throw new OrkestrError('ORK_CONFLICT', 'The target is the active one; flip to another before draining it.');
    }
    const targets = this.targets().filter(({ id }) => id === targetId);
    return drainAll(targets, plan, this.#clock);
  }

  /** No more claims on any target. */
  retire(): void {
    for (const target of this.#active) target.retire();
  }

  /** Ends everything in flight now. */
  cut(): void {
    for (const target of this.targets()) target.cut();
  }

  /** The active targets first, then the retired, newest first. */
  targets(): readonly Target[] {
    return [...this.#active, ...this.#retired];
  }

  view(): TableView['upstreams'][number] {
    const { id, generation, routes, edge } = this.#entry;
    const now = this.#clock.monotonic();
    const targets = this.targets()
      .filter((target) => target.state !== 'gone')
      .map((target) => target.view(now));
    return { id, generation, routes, edge, targets, failed: this.#failed, held: null, canary: null };
  }

  /** The one with the least in flight; those that refuse connections only when there is no other. */
  #pick(refusing: Target | null): Target | null {
    const [only, ...others] = this.#active;
    if (only === undefined || others.length === 0) return only ?? null;
    const now = this.#clock.monotonic();
    const cost = (target: Target): number =>
      target.inFlight + (target === refusing || target.isSuspended(now) ? Number.MAX_SAFE_INTEGER / 2 : 0);
    return others.reduce((best, target) => (cost(target) < cost(best) ? target : best), only);
  }

  /** Copies that stay at their address stay as they are, with their counts and connections. */
  #replace(addresses: readonly TargetAddress[]): void {
    const kept = this.#active.filter((target) => addresses.some((address) => isAt(target, address)));
    const gone = this.#active.filter((target) => !kept.includes(target));
    this.#active = addresses.map((address) => kept.find((target) => isAt(target, address)) ?? new Target(address));
    for (const target of gone) target.retire();
    this.#retired = keepOpen([...gone, ...this.#retired]);
  }

  #previous(targetId: string): NonNullable<FlipAnswer['previous']> {
    const sum = (count: (target: Target) => number): number =>
      this.#active.reduce((total, target) => total + count(target), 0);
    return {
      targetId,
      inFlight: sum(({ inFlight }) => inFlight),
      streams: sum(({ streams }) => streams),
      requests: { served: sum(({ requests }) => requests.served), failed: sum(({ requests }) => requests.failed) },
    };
  }
}

function isAt(target: TargetAddress, { id, address, port }: TargetAddress): boolean {
  return target.id === id && target.address === address && target.port === port;
}

function sameAddresses(a: readonly TargetAddress[], b: readonly TargetAddress[]): boolean {
  return a.length === b.length && a.every((one) => b.some((other) => isAt(one, other)));
}

/** An id may stand for several retired targets: one per copy, and per address that a container had. */
async function drainAll(targets: readonly Target[], plan: DrainPlan, clock: Clock): Promise<DrainAnswer> {
  const drained = await Promise.all(targets.map((target) => target.drain(plan, clock)));
  const sum = (count: (one: (typeof drained)[number]) => number): number =>
    drained.reduce((total, one) => total + count(one), 0);
  return {
    known: targets.length > 0,
    ms: Math.max(0, ...drained.map(({ ms }) => ms)),
    forced: sum(({ forced }) => forced),
    streams: {
      carried: sum(({ streams }) => streams.carried),
      ended: sum(({ streams }) => streams.ended),
      closed: sum(({ streams }) => streams.closed),
    },
    requests: {
      served: targets.reduce((total, target) => total + target.requests.served, 0),
      failed: targets.reduce((total, target) => total + target.requests.failed, 0),
    },
  };
}

/** Those that still drain are bounded by the connections in flight; of those that are gone only the newest are kept. */
function keepOpen(targets: readonly Target[]): Target[] {
  let gone = 0;
  return targets.filter((target) => target.state !== 'gone' || ++gone <= GONE_KEPT);
}
