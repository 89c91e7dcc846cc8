/**
 * The named group of targets of an environment. A flip swaps the active targets in one synchronous act, so that every
 * claim is on the old target or on the new one; claimed requests end where they began.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { DrainAnswer, FlipAnswer, TargetAddress, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import { isOnCanary } from './canary.ts';
import type { CanaryRule, Visitor } from './canary.ts';
import type { TargetCounts, TargetRole, UpstreamCounts } from './counts.ts';
import { drainAll, leastInFlight } from './group.ts';
import { Hold } from './hold.ts';
import type { HoldBounds, Waiter } from './hold.ts';
import { isMove } from './move.ts';
import { Target } from './target.ts';
import type { DrainPlan, InFlight } from './target.ts';
import { openingTally, tellAll } from './tally.ts';
import type { TallyListener } from './tally.ts';
import type { ConcurrencyUse } from './concurrency.ts';
import { noWaits } from './waits.ts';
import type { WaitCounts } from './waits.ts';

/** Deployments that are gone and yet kept, so that a drain asked for again is answered with its counts. */
const GONE_KEPT = 4;
/** With all their copies, and with the addresses that a container had. */
const GONE_TARGETS_KEPT = 64;

/** Why a claim came to nothing. `busy`: as many as the edge settings allow are in flight. `none`: no target. */
type Refusal = 'held' | 'busy' | 'none';

interface Side {
  readonly targets: readonly Target[];
  readonly rule: CanaryRule;
}

export class Upstream {
  readonly #clock: Clock;
  #entry: UpstreamEntry;
  #active: readonly Target[];
  #canary: Side | null = null;
  #retired: readonly Target[] = [];
  #hold: Hold | null = null;
  /** Of holds since the last flip, and of those before it. */
  #waits: WaitCounts | null = null;
  #waitsBeforeFlip: WaitCounts | null = null;
  /** Of `maxConcurrent`, where other processes have the rest. */
  #share = Infinity;
  #refusedBusy = 0;
  /** Of several copies the one that is looked at first. */
  #turn = 0;
  #failed = 0;
  #failedBeforeFlip = 0;
  readonly #watches = new Set<{ readonly targetId: string; readonly listener: TallyListener }>();

  constructor(entry: UpstreamEntry, clock: Clock) {
    this.#clock = clock;
    this.#entry = entry;
    this.#active = entry.targets.map((address) => new Target(address, clock));
    this.#setCanary(entry.canary);
  }

  get id(): string {
    return this.#entry.id;
  }

  get entry(): UpstreamEntry {
    return this.#entry;
  }

  /**
   * Pick and count in one synchronous act. Null when no target takes requests: {@link Upstream.refusal} says why.
   * @param refusing a target that refused this very exchange: another one is preferred
   * @param visitor who asks; without one, nobody is on the canary's side
   */
  claim(exchange: InFlight, refusing: Target | null = null, visitor: Visitor | null = null): Target | null {
    if (this.#hold !== null && !this.#hold.letsGo) return null;
    if (!this.#hasRoom()) return null;
    const targets = this.#sideOf(visitor);
    const target = leastInFlight(targets, refusing, this.#clock, this.#turn);
    if (targets.length > 1) this.#turn = (this.#turn + 1) % targets.length;
    return target?.claim(exchange) ? target : null;
  }

  /** Why the claim of a moment ago was refused. */
  get refusal(): Refusal {
    if (this.holding !== null) return 'held';
    // Those who waited in a hold have the next room.
    if (this.#isBusy(this.#hold?.size)) return 'busy';
    return this.#hold === null ? 'none' : 'held';
  }

  /**
   * A place in the queue, for a request whose claim was refused as `held`. True: it waits, and exactly one of its `go`
   * and `refuse` follows unless it leaves. False: there is no room.
   */
  enter(waiter: Waiter): boolean {
    return this.#hold?.enter(waiter) ?? false;
  }

  /** Its client has gone. */
  leave(waiter: Waiter): void {
    this.#hold?.leave(waiter);
  }

  /** New requests wait from here on. @returns how many wait already, and whether there was no hold before */
  hold(bounds: HoldBounds): { held: number; changed: boolean } {
    if (this.#hold !== null) {
      this.#hold.renew(bounds);
      return { held: this.#hold.size, changed: false };
    }
    this.#waits ??= noWaits();
    const emptied = (): void => {
      if (this.#hold === hold) this.#hold = null;
    };
    const hold = new Hold(bounds, this.#clock, this.#waits, () => this.#hasRoom(), emptied);
    this.#hold = hold;
    return { held: 0, changed: true };
  }

  /** The hold of now; null when there is none, or when it is about to end. */
  get holding(): HoldBounds | null {
    return this.#hold === null || this.#hold.isEnding ? null : this.#hold.bounds;
  }

  /** All that wait go on, in their order. @returns how many, and whether there was a hold */
  resume(): { held: number; changed: boolean } {
    const changed = this.holding !== null;
    const held = this.#hold?.size ?? 0;
    this.#hold?.end();
    return { held, changed };
  }

  /** @param requests of `maxConcurrent` that may be in flight here; other processes have the rest */
  setShare(requests: number): void {
    this.#share = requests;
  }

  /** How much of its share is used, and was too little since the last call; null: there is no limit. */
  concurrencyUse(): ConcurrencyUse | null {
    if (this.#entry.edge.maxConcurrent === 0) return null;
    const refused = this.#refusedBusy;
    this.#refusedBusy = 0;
    return { id: this.id, inFlight: this.#inFlight(), refused };
  }

  /** A request that app or proxy broke: answered 502, 503 or 504 by the proxy, or cut in the middle of its answer. */
  countFailure(): void {
    this.#failed += 1;
  }

  /**
   * Synchronous: the next claim is on the new targets, and those that are held go on to them. A target that moves is no new
   * flip: what counts since the last one goes on.
   * @returns what served before; null when the same still does
   */
  apply(entry: UpstreamEntry): FlipAnswer['previous'] {
    const [before] = this.#active;
    const replaced = before !== undefined && before.id !== entry.targets[0]?.id;
    const previous = replaced ? this.#previous(before.id) : null;
    if (!isMove(this.#entry, entry)) {
      this.#waitsBeforeFlip = this.#waits;
      this.#waits = null;
      this.#failedBeforeFlip = this.#failed;
    }
    this.#setTargets(entry);
    this.resume();
    return previous;
  }

  /** The same active targets, with another canary or none, and other settings. */
  amend(entry: UpstreamEntry): void {
    this.#setTargets(entry);
  }

  /**
   * @throws OrkestrError ORK_CONFLICT for a target that serves: it would have to be stopped under traffic
   */
  async drain(targetId: string, plan: DrainPlan, given: AbortSignal | null = null): Promise<DrainAnswer> {
    if (this.#serving().some(({ id, state }) => id === targetId && state === 'healthy')) {
      throw new OrkestrError('ORK_CONFLICT', 'The target is the active one; flip to another before draining it.');
    }
    const targets = this.targets().filter(({ id }) => id === targetId);
    return drainAll(targets, plan, given);
  }

  /**
   * @param listener first gets what has happened since the target is active, at once and within this call
   * @returns what ends it; null when that target is not the active one
   */
  watch(targetId: string, listener: TallyListener): (() => void) | null {
    const watched = this.#active.filter(({ id }) => id === targetId);
    if (watched.length === 0) return null;
    const watch = { targetId, listener };
    this.#watches.add(watch);
    listener(openingTally(watched));
    this.#listen();
    return () => {
      this.#watches.delete(watch);
      this.#listen();
    };
  }

  /** No more claims on any target, and nobody waits any more. */
  retire(): void {
    this.#endHold();
    for (const target of this.#serving()) target.retire();
  }

  /** As of {@link Target.dismissals}, of all targets. */
  dismissals(): (() => void)[] {
    return this.targets().flatMap((target) => target.dismissals());
  }

  /** Ends everything in flight now. */
  cut(): void {
    this.#endHold();
    for (const target of this.targets()) target.cut();
  }

  /** The active targets first, then the canary's, then the retired, newest first. */
  targets(): readonly Target[] {
    return [...this.#serving(), ...this.#retired];
  }

  counts(): UpstreamCounts {
    const now = this.#clock.monotonic();
    const of = (targets: readonly Target[], role: TargetRole): TargetCounts[] =>
      targets.map((target) => target.counts(role, now));
    return {
      id: this.id,
      targets: [
        ...of(this.#active, 'active'),
        ...of(this.#canary?.targets ?? [], 'canary'),
        ...of(this.#retired, 'retired'),
      ],
      failed: this.#failed,
      failedSinceFlip: this.#failed - this.#failedBeforeFlip,
      held: this.holding === null ? null : (this.#hold?.size ?? 0),
      waits: this.#waitsBeforeFlip,
    };
  }

  #endHold(): void {
    this.#hold?.refuseAll();
    this.#hold = null;
  }

  #serving(): readonly Target[] {
    return this.#canary === null ? this.#active : [...this.#active, ...this.#canary.targets];
  }

  #sideOf(visitor: Visitor | null): readonly Target[] {
    const canary = this.#canary;
    return canary !== null && visitor !== null && isOnCanary(canary.rule, visitor, this.id)
      ? canary.targets
      : this.#active;
  }

  /** False is counted: that was one request too many for our share. */
  #hasRoom(): boolean {
    if (!this.#isBusy()) return true;
    this.#refusedBusy += 1;
    return false;
  }

  /** @param waiting requests that are to be in flight soon */
  #isBusy(waiting = 0): boolean {
    const { maxConcurrent } = this.#entry.edge;
    return maxConcurrent !== 0 && this.#inFlight() + waiting >= Math.min(maxConcurrent, this.#share);
  }

  #inFlight(): number {
    let inFlight = 0;
    for (const target of this.#serving()) inFlight += target.inFlight;
    return inFlight;
  }

  /** Copies that stay at their address stay as they are, with their counts and connections, on whichever side. */
  #setTargets(entry: UpstreamEntry): void {
    const before = this.#serving();
    const kept = (address: TargetAddress): Target =>
      before.find((target) => isAt(target, address)) ?? new Target(address, this.#clock);
    this.#entry = entry;
    this.#active = entry.targets.map(kept);
    this.#setCanary(entry.canary, kept);
    const now = new Set(this.#serving());
    const gone = before.filter((target) => !now.has(target));
    for (const target of gone) target.retire();
    this.#retired = keepOpen([...gone, ...this.#retired]);
    this.#listen();
  }

  #setCanary(
    canary: UpstreamEntry['canary'],
    make = (address: TargetAddress): Target => new Target(address, this.#clock),
  ): void {
    const { weightPercent = 0, cookie = null } = canary ?? {};
    this.#canary = canary ? { targets: canary.targets.map(make), rule: { weightPercent, cookie } } : null;
  }

  #listen(): void {
    const watches = [...this.#watches];
    for (const target of this.#active) {
      target.listener = tellAll(watches.filter(({ targetId }) => targetId === target.id).map((one) => one.listener));
    }
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

/** Those that still drain are bounded by the connections in flight; of those that are gone only the newest are kept. */
function keepOpen(targets: readonly Target[]): Target[] {
  const ids = new Set<string>();
  let gone = 0;
  return targets.filter((target) => {
    if (target.state !== 'gone') return true;
    gone += 1;
    return ids.add(target.id).size <= GONE_KEPT && gone <= GONE_TARGETS_KEPT;
  });
}
