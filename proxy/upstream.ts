/** The targets of one environment: the active one, and those that drain. */
import { OrkestrError } from '../protocol/errors.ts';
import type { Domain } from '../protocol/job.ts';
import type { DrainAnswer, FlipAnswer, FlipRequest, TableView, UpstreamEntry } from '../protocol/proxy-admin.ts';
import type { Clock } from './clock.ts';
import { Target } from './target.ts';
import type { Claim } from './target.ts';

/** Targets that are gone and yet kept, so that a drain asked for again is answered with its counts. */
const GONE_KEPT = 4;

/** What a flip request means for the entry that stands: nothing new, or to be put in place. */
export type FlipKind = 'replay' | 'apply';

/**
 * Compare-and-set, without an effect.
 * @param current null when there is no such upstream
 * @throws OrkestrError ORK_GENERATION_STALE
 */
export function judgeFlip(current: UpstreamEntry | null, { entry, expectedGeneration }: FlipRequest): FlipKind {
  const generation = current?.generation ?? 0;
  // A sender that lost the answer sends the same flip again, with the generation that it expected then.
  if (current !== null && generation === entry.generation && sameRelease(current, entry)) {
    return sameAddress(current, entry) ? 'replay' : 'apply';
  }
  if (expectedGeneration === generation && entry.generation > generation) return 'apply';
  throw new OrkestrError('ORK_GENERATION_STALE', 'The upstream is not at the generation that the flip expects.', {
    evidence: [
      `generation in the table: ${generation}`,
      `expected: ${expectedGeneration}, to be set: ${entry.generation}`,
    ],
  });
}

function sameRelease(a: UpstreamEntry, b: UpstreamEntry): boolean {
  return a.target.id === b.target.id && routeKey(a.routes) === routeKey(b.routes);
}

function sameAddress(a: UpstreamEntry, b: UpstreamEntry): boolean {
  return a.target.address === b.target.address && a.target.port === b.target.port;
}

function routeKey(routes: readonly Domain[]): string {
  return routes
    .map(({ host, pathPrefix }) => host + pathPrefix)
    .toSorted()
    .join(' ');
}

export class Upstream {
  #entry: UpstreamEntry;
  #active: Target;
  #retired: Target[] = [];
  #failed = 0;
  #lastFlip: FlipAnswer;

  /** @param at the moment of the flip that made it, or of the restart that restored it */
  constructor(entry: UpstreamEntry, at: Date) {
    this.#entry = entry;
    this.#active = new Target(entry.target);
    this.#lastFlip = { generation: entry.generation, flippedAt: at.toISOString(), changed: true, previous: null };
  }

  get id(): string {
    return this.#entry.id;
  }

  get entry(): UpstreamEntry {
    return this.#entry;
  }

  get routes(): readonly Domain[] {
    return this.#entry.routes;
  }

  get lastFlip(): FlipAnswer {
    return this.#lastFlip;
  }

  /** Pick and count in one synchronous act. Null when no target takes requests. */
  claim(): Claim | null {
    return this.#active.claim();
  }

  /** A response 502, 503 or 504 that the proxy gave itself. */
  countFailure(): void {
    this.#failed += 1;
  }

  /** Puts an entry in place that {@link judgeFlip} let pass. Synchronous: the next claim is on the new target. */
  apply(entry: UpstreamEntry, at: Date): FlipAnswer {
    const before = this.#active;
    const sameTarget = before.id === entry.target.id;
    const { inFlight, requests } = before;
    if (!sameTarget || !sameAddress(this.#entry, entry)) {
      this.#active = new Target(entry.target);
      before.retire();
      this.#retired = keepOpen([before, ...this.#retired]);
    }
    this.#entry = entry;
    this.#lastFlip = {
      generation: entry.generation,
      flippedAt: at.toISOString(),
      changed: true,
      // A target that only changed its address or routes is still the one that serves: nobody is to drain and stop it.
      previous: sameTarget ? null : { targetId: before.id, inFlight, requests },
    };
    return this.#lastFlip;
  }

  /**
   * @throws OrkestrError ORK_CONFLICT for the active target: it would have to be stopped under traffic
   */
  async drain(targetId: string, deadlineMs: number, clock: Clock): Promise<DrainAnswer> {
    if (this.#active.id === targetId && this.#active.state === 'healthy') {
      throw new OrkestrError('ORK_CONFLICT', 'The target is the active one; flip to another before draining it.');
    }
    return drainAll(
      this.targets().filter((target) => target.id === targetId),
      deadlineMs,
      clock,
    );
  }

  /** No more claims on any target. */
  retire(): void {
    this.#active.retire();
  }

  /** Ends everything in flight now. */
  cut(): void {
    for (const target of this.targets()) target.cut();
  }

  /** The active target first, then the retired, newest first. */
  targets(): readonly Target[] {
    return [this.#active, ...this.#retired];
  }

  view(): TableView['upstreams'][number] {
    const { id, generation, routes } = this.#entry;
    const targets = this.targets()
      .filter((target) => target.state !== 'gone')
      .map((target) => target.view());
    return { id, generation, routes, targets, failed: this.#failed };
  }
}

/** An id may stand for several retired targets: one per address that its container had. */
async function drainAll(targets: readonly Target[], deadlineMs: number, clock: Clock): Promise<DrainAnswer> {
  const drained = await Promise.all(targets.map((target) => target.drain(deadlineMs, clock)));
  return {
    known: targets.length > 0,
    ms: Math.max(0, ...drained.map(({ ms }) => ms)),
    forced: drained.reduce((sum, { forced }) => sum + forced, 0),
    requests: {
      served: targets.reduce((sum, target) => sum + target.requests.served, 0),
      failed: targets.reduce((sum, target) => sum + target.requests.failed, 0),
    },
  };
}

/** Those that still drain are bounded by the connections in flight; of those that are gone only the newest are kept. */
function keepOpen(targets: readonly Target[]): Target[] {
  let gone = 0;
  return targets.filter((target) => target.state !== 'gone' || ++gone <= GONE_KEPT);
}
