/**
 * The address of one running container, and what is in flight to it.
 *
 * `healthy → draining → gone`. Only a healthy target accepts claims. Once retired, it drains, and it is gone as soon as
 * nothing is in flight. No claim can be added by then, so gone is final: the container may be stopped.
 */
import type { StreamCount, TargetCount } from '../../protocol/flip-counts.ts';
import type { TargetAddress, TargetState } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import { streamCount } from './counts.ts';
import type { TargetCounts, TargetRole } from './counts.ts';

/** How a claim ended: the client got the whole response, app or proxy failed, or the client gave up. */
export type Outcome = 'served' | 'failed' | 'abandoned';

/** Long-lived exchanges. A drain gives them a later deadline, and each kind is closed in its own way. */
export type StreamKind = 'websocket' | 'events' | 'grpc';

/** One exchange with a target, from request to response: what an engine makes a claim for. */
export interface InFlight {
  /** Null for a plain request. May change while in flight: only the response shows that it is an event stream. */
  readonly stream: StreamKind | null;
  /** Ends it at once. The engine should release the claim; if it does not, the target does. */
  cut(): void;
  /** Closes a stream as its protocol prescribes, and releases the claim once it is closed. */
  dismiss(): void;
}

/** Notified at once of how a target does, while it is watched. */
export interface TargetListener {
  /**
   * An exchange ended.
   * @param faulty the response was 500 or above, broken, or missing
   * @param came the head of a response came
   */
  answered(faulty: boolean, came: boolean): void;
  /** A connection was refused. */
  refused(): void;
}

/** Deadlines of a drain, ms from its start. */
export interface DrainPlan {
  readonly deadlineMs: number;
  readonly streamDeadlineMs: number;
  /** After their deadline, streams are dismissed evenly over this time. */
  readonly spreadMs: number;
}

export interface Drained {
  readonly ms: number;
  /** Plain requests of this target cut by any drain up to now. */
  readonly forced: number;
  readonly streams: StreamCount;
}

/** How long a dismissed stream may take to close before it is cut, ms. */
const DISMISS_MS = 5_000;
/** How long a target that refused a connection is passed over, ms. Doubles with each refusal up to the maximum. */
const SUSPEND_MS = 500;
const SUSPEND_MAX_MS = 10_000;

export class Target {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Set while the target is watched. */
  listener: TargetListener | null = null;
  readonly #clock: Clock;
  #state: TargetState = 'healthy';
  #served = 0;
  #failed = 0;
  #abandoned = 0;
  #errors = 0;
  /** Counted only while healthy: exchanges that a drain breaks say nothing about the app. */
  #answers = 0;
  #faults = 0;
  #forced = 0;
  #streamsCarried = 0;
  #streamsClosed = 0;
  #firstAt = 0;
  #lastAt = 0;
  #refusals = 0;
  #suspendedUntil = 0;
  /** Monotonic, ms. */
  #retiredAt = 0;
  #goneAt = 0;
  readonly #inFlight = new Set<InFlight>();
  /** Drains and the end of the process may dismiss the same exchanges. */
  readonly #dismissed = new WeakSet<InFlight>();
  readonly #carried = new WeakSet<InFlight>();
  readonly #whenRetired: (() => void)[] = [];
  readonly #whenGone = new Set<() => void>();

  constructor(entry: TargetAddress, clock: Clock) {
    this.#clock = clock;
    this.id = entry.id;
    this.address = entry.address;
    this.port = entry.port;
  }

  get state(): TargetState {
    return this.#state;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get streams(): number {
    let streams = 0;
    for (const { stream } of this.#inFlight) if (stream !== null) streams += 1;
    return streams;
  }

  get requests(): TargetCount {
    return { served: this.#served, failed: this.#failed };
  }

  /** Connections refused in a row. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Counts the exchange in, synchronously, so that no flip comes between pick and count. False once retired. */
  claim(exchange: InFlight): boolean {
    if (this.#state !== 'healthy') return false;
    this.#inFlight.add(exchange);
    this.#lastAt = Date.now();
    if (this.#firstAt === 0) this.#firstAt = this.#lastAt;
    return true;
  }

  /**
   * Ends a claim. Only the first call for an exchange counts.
   * @param status of the app's response; 0 when there was none
   */
  release(exchange: InFlight, outcome: Outcome, status: number): void {
    if (!this.#inFlight.delete(exchange)) return;
    if (outcome === 'served') this.#served += 1;
    else if (outcome === 'failed') this.#failed += 1;
    else this.#abandoned += 1;
    if (status >= 500) this.#errors += 1;
    if (status > 0) this.#refusals = 0;
    if (this.#state === 'healthy') {
      if (status > 0 || outcome === 'failed') this.#answered(status >= 500 || outcome === 'failed', status > 0);
      return;
    }
    this.#carry(exchange);
    this.#settle();
  }

  /** Takes a claim back as if it had never been made: nothing was sent, and another copy gets the request. */
  withdraw(exchange: InFlight): void {
    if (this.#inFlight.delete(exchange) && this.#state !== 'healthy') this.#settle();
  }

  /** Records that the target refused a connection. @param now monotonic, ms */
  refused(now: number): void {
    this.#refusals += 1;
    this.listener?.refused();
    this.#suspendedUntil = now + Math.min(SUSPEND_MS * 2 ** (this.#refusals - 1), SUSPEND_MAX_MS);
  }

  /** True while other targets are preferred. @param now monotonic, ms */
  isSuspended(now: number): boolean {
    return this.#refusals > 0 && now < this.#suspendedUntil;
  }

  /** Refuses all further claims. */
  retire(): void {
    if (this.#state !== 'healthy') return;
    this.#state = 'draining';
    this.listener = null;
    this.#retiredAt = this.#clock.monotonic();
    this.#carryAll();
    for (const callback of this.#whenRetired) callback();
    this.#settle();
  }

  onRetired(callback: () => void): void {
    this.#whenRetired.push(callback);
  }

  /**
   * Retires the target and waits until nothing is in flight, enforcing the deadlines. Several drains may run at once.
   * @param given stops waiting when it aborts: the deadlines no longer apply, and work in flight goes on
   */
  async drain(plan: DrainPlan, given: AbortSignal | null = null): Promise<Drained> {
    const startedAt = this.#clock.monotonic();
    this.retire();
    if (this.#state !== 'gone' && given?.aborted !== true) await this.#emptied(plan, given);
    const now = this.#clock.monotonic();
    return { ms: now - startedAt, forced: this.#forced, streams: streamCount(this.counts('retired', now)) };
  }

  /** For each stream in flight, a function that dismisses it unless it has ended or been dismissed by then. */
  dismissals(): (() => void)[] {
    const open = [...this.#inFlight].filter((one) => one.stream !== null && !this.#dismissed.has(one));
    return open.map((exchange) => () => this.#dismiss(exchange));
  }

  /** Ends everything in flight now. */
  cut(): void {
    for (const exchange of this.#inFlight) this.#cut(exchange);
  }

  counts(role: TargetRole, now: number): TargetCounts {
    const { id, address, port, inFlight, streams } = this;
    if (this.#state !== 'healthy') this.#carryAll();
    return {
      id,
      address,
      port,
      role,
      inFlight,
      streams,
      suspended: this.isSuspended(now),
      served: this.#served,
      failed: this.#failed,
      abandoned: this.#abandoned,
      errors: this.#errors,
      answers: this.#answers,
      faults: this.#faults,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      forced: this.#forced,
      streamsCarried: this.#streamsCarried,
      streamsClosed: this.#streamsClosed,
      drainMs: this.#state === 'healthy' ? 0 : (this.#goneAt || now) - this.#retiredAt,
    };
  }

  #carryAll(): void {
    for (const exchange of this.#inFlight) this.#carry(exchange);
  }

  /** Also counts an exchange that turned out to be a stream after the retirement, when its response head came. */
  #carry(exchange: InFlight): void {
    if (exchange.stream === null || this.#carried.has(exchange)) return;
    this.#carried.add(exchange);
    this.#streamsCarried += 1;
  }

  #answered(faulty: boolean, came: boolean): void {
    this.#answers += 1;
    if (faulty) this.#faults += 1;
    if (this.listener !== null) this.listener.answered(faulty, came);
  }

  #emptied(plan: DrainPlan, given: AbortSignal | null): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#enforce(plan);
      const end = (): void => {
        stop();
        this.#whenGone.delete(end);
        given?.removeEventListener('abort', end);
        resolve();
      };
      this.#whenGone.add(end);
      given?.addEventListener('abort', end);
    });
  }

  /** @returns cancels the timers */
  #enforce({ deadlineMs, streamDeadlineMs, spreadMs }: DrainPlan): () => void {
    const timers = new Set<NodeJS.Timeout>();
    const after = (ms: number, act: () => void): void => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        act();
      }, ms);
      timers.add(timer);
    };
    after(deadlineMs, () => {
      for (const exchange of this.#inFlight) if (exchange.stream === null) this.#cut(exchange);
    });
    const streamsEnd = Math.max(deadlineMs, streamDeadlineMs);
    after(streamsEnd, () => {
      const open = [...this.#inFlight];
      open.forEach((exchange, index) => after((spreadMs * index) / open.length, () => this.#dismiss(exchange)));
    });
    after(streamsEnd + spreadMs + DISMISS_MS, () => this.cut());
    return () => {
      for (const timer of timers) clearTimeout(timer);
    };
  }

  #dismiss(exchange: InFlight): void {
    if (!this.#inFlight.has(exchange) || this.#dismissed.has(exchange)) return;
    this.#dismissed.add(exchange);
    // Only streams of a drain count here; the end of the process closes the others.
    if (this.#state !== 'healthy') this.#streamsClosed += 1;
    exchange.dismiss();
  }

  #cut(exchange: InFlight): void {
    if (exchange.stream === null) this.#forced += 1;
    exchange.cut();
    // The engine decides how a cut counts; a claim that it leaves open must not hold up the drain.
    this.release(exchange, 'failed', 0);
  }

  #settle(): void {
    if (this.#state !== 'draining' || this.#inFlight.size > 0) return;
    this.#state = 'gone';
    this.#goneAt = this.#clock.monotonic();
    for (const callback of this.#whenGone) callback();
    this.#whenGone.clear();
  }
}
