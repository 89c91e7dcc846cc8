/**
 * The named group of targets of an environment. A flip swaps the active targets synchronously, so that every claim is
 * either on the old target or on the new one. A claimed request ends on the target where it began.
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
import { openingTally, listenerForAll } from './tally.ts';
import type { TallyListener } from './tally.ts';
import type { ConcurrencyUse } from './concurrency.ts';
import { noWaits } from './waits.ts';
import type { WaitCounts } from './waits.ts';

/** How many gone deployments are kept, so that a repeated drain request still gets their counts. */
const GONE_KEPT = 4;
/** The same limit for targets: all copies of those deployments, at every address that a container had. */
const GONE_TARGETS_KEPT = 64;

/** Why a claim failed. `busy`: as many requests are in flight as the edge settings allow. `none`: no target. */
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
  /** Waits of the holds since the last flip, and of those before it. */
  #waits: WaitCounts | null = null;
  #waitsBeforeFlip: WaitCounts | null = null;
  /** Our share of `maxConcurrent`; other processes have the rest. */
  #share = Infinity;
  #refusedBusy = 0;
  /** Index of the copy that the next claim looks at first. */
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
   * Picks a target and counts the exchange in, synchronously. Null when none takes requests; {@link Upstream.refusal}
   * says why.
   * @param refusing a target that has refused this exchange; another one is preferred
   * @param visitor who sends the request; null: never the canary's side
   */
  claim(exchange: InFlight, refusing: Target | null = null, visitor: Visitor | null = null): Target | null {
    if (this.#hold !== null && !this.#hold.letsGo) return null;
    if (!this.#hasRoom()) return null;
    const targets = this.#sideOf(visitor);
    const target = leastInFlight(targets, refusing, this.#clock, this.#turn);
    if (targets.length > 1) this.#turn = (this.#turn + 1) % targets.length;
    return target?.claim(exchange) ? target : null;
  }

  /** Why the claim just made was refused. */
  get refusal(): Refusal {
    if (this.holding !== null) return 'held';
    // Requests that wait in a hold have priority for free slots.
    if (this.#isBusy(this.#hold?.size)) return 'busy';
    return this.#hold === null ? 'none' : 'held';
  }

  /**
   * Queues a request whose claim was refused as `held`. True: it waits, and exactly one of its `go` and `refuse` is
   * called unless it leaves. False: the queue is full.
   */
  enter(waiter: Waiter): boolean {
    return this.#hold?.enter(waiter) ?? false;
  }

  /** Removes a request whose client has gone. */
  leave(waiter: Waiter): void {
    this.#hold?.leave(waiter);
  }

  /** New requests wait from here on. @returns how many wait already, and whether this call started the hold */
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

  /** The current hold; null when there is none or it is about to end. */
  get holding(): HoldBounds | null {
    return this.#hold === null || this.#hold.isEnding ? null : this.#hold.bounds;
  }

  /** All waiting requests go on, in their order. @returns how many, and whether there was a hold */
  resume(): { held: number; changed: boolean } {
    const changed = this.holding !== null;
    const held = this.#hold?.size ?? 0;
    this.#hold?.end();
    return { held, changed };
  }

  /** @param requests how many of `maxConcurrent` may be in flight in this process; others have the rest */
  setShare(requests: number): void {
    this.#share = requests;
  }

  /** How much of the share is used, and how often it was exceeded since the last call; null: there is no limit. */
  concurrencyUse(): ConcurrencyUse | null {
    if (this.#entry.edge.maxConcurrent === 0) return null;
    const refused = this.#refusedBusy;
    this.#refusedBusy = 0;
    return { id: this.id, inFlight: this.#inFlight(), refused };
  }

  /** Counts a request that failed: the proxy answered 502, 503 or 504, or the response broke off in the middle. */
  countFailure(): void {
    this.#failed += 1;
  }

  /**
   * Synchronous: the next claim is on the new targets, and held requests go on to them. A target that only moves to
   * another address is no new flip, so the counts since the last flip continue.
   * @returns what served before; null when the same target still serves
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

  /** Keeps the active targets and changes the canary or the settings. */
  amend(entry: UpstreamEntry): void {
    this.#setTargets(entry);
  }

  /**
   * @throws OrkestrError ORK_CONFLICT for a target that serves: draining would stop it under traffic
   */
  async drain(targetId: string, plan: DrainPlan, given: AbortSignal | null = null): Promise<DrainAnswer> {
    if (this.#serving().some(({ id, state }) => id === targetId && state === 'healthy')) {
      throw new OrkestrError('ORK_CONFLICT', 'The target is the active one; flip to another before draining it.');
    }
    const targets = this.targets().filter(({ id }) => id === targetId);
    return drainAll(targets, plan, given);
  }

  /**
   * @param listener is first called with the counts since the target became active, within this call
   * @returns ends the watch; null when that target is not the active one
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

  /** Refuses all further claims and every waiting request. */
  retire(): void {
    this.#endHold();
    for (const target of this.#serving()) target.retire();
  }

  /** {@link Target.dismissals} of all targets. */
  dismissals(): (() => void)[] {
    return this.targets().flatMap((target) => target.dismissals());
  }

  /** Ends everything in flight now. */
  cut(): void {
    this.#endHold();
    for (const target of this.targets()) target.cut();
  }

  /** The active targets first, then the canary's, then the retired ones, newest first. */
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

  /** Counts each refusal: that request exceeded our share. */
  #hasRoom(): boolean {
    if (!this.#isBusy()) return true;
    this.#refusedBusy += 1;
    return false;
  }

  /** @param waiting requests that will soon be in flight */
  #isBusy(waiting = 0): boolean {
    const { maxConcurrent } = this.#entry.edge;
    return maxConcurrent !== 0 && this.#inFlight() + waiting >= Math.min(maxConcurrent, this.#share);
  }

  #inFlight(): number {
    let inFlight = 0;
    for (const target of this.#serving()) inFlight += target.inFlight;
    return inFlight;
  }

  /** A copy that keeps its address keeps its counts and connections too, even if it changes sides. */
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
      target.listener = listenerForAll(
        watches.filter(({ targetId }) => targetId === target.id).map((one) => one.listener),
      );
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

/** Draining targets are bounded by the connections in flight; of the gone ones only the newest are kept. */
function keepOpen(targets: readonly Target[]): Target[] {
  const ids = new Set<string>();
  let gone = 0;
  return targets.filter((target) => {
    if (target.state !== 'gone') return true;
    gone += 1;
    return ids.add(target.id).size <= GONE_KEPT && gone <= GONE_TARGETS_KEPT;
  });
}
