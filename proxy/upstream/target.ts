/**
 * One running container address and what is in flight to it.
 *
 * `healthy → draining → gone`. Only a healthy target gives claims. Retired, it drains; it is gone at the moment when
 * nothing is in flight, and since no claim can be added by then, gone is final: the container may be stopped.
 */
import type { StreamCount, TargetCount } from '../../protocol/flip-counts.ts';
import type { TargetAddress, TargetState } from '../../protocol/proxy-admin.ts';
import type { Clock } from '../clock.ts';
import type { TargetCounts, TargetRole } from './counts.ts';

/** How a claim ended: answered in full, broken by app or proxy, or given up by the client. */
export type Outcome = 'served' | 'failed' | 'abandoned';

/** Long-lived exchanges: at a drain they have a later deadline, and their own way to be closed. */
export type StreamKind = 'websocket' | 'events' | 'grpc';

/** One exchange on its way to a target and back: what an engine claims with. */
export interface InFlight {
  /** Null for a plain request. May become a kind while in flight: only the answer tells that it is an event stream. */
  readonly stream: StreamKind | null;
  /** Ends it at once. The engine releases the claim itself; one that it leaves open is released by the target. */
  cut(): void;
  /** Closes a stream with its protocol's word, and releases the claim when that is done. */
  dismiss(): void;
}

/** Who is told at once how a target does, while it is watched. */
export interface TargetListener {
  /**
   * An exchange ended.
   * @param faulty its answer was 500 or above, broken, or never came
   * @param came the head of an answer came
   */
  answered(faulty: boolean, came: boolean): void;
  /** A connection was refused. */
  refused(): void;
}

/** Deadlines of a drain, ms from its start. */
export interface DrainPlan {
  readonly deadlineMs: number;
  readonly streamDeadlineMs: number;
  /** The dismissals of streams are spread evenly over this long after their deadline. */
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
/** A target that refused a connection is passed over for this long, ms; twice as long each time, up to the last. */
const SUSPEND_MS = 500;
const SUSPEND_MAX_MS = 10_000;

export class Target {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Set while it is watched. */
  listener: TargetListener | null = null;
  readonly #clock: Clock;
  #state: TargetState = 'healthy';
  #served = 0;
  #failed = 0;
  #abandoned = 0;
  #errors = 0;
  /** Counted while it is healthy: what drains break says nothing about the app. */
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
  /** Drains and the end of the process may want the same ones dismissed. */
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

  /** Counts the exchange in, so that no flip can land between the pick and the count. False once retired. */
  claim(exchange: InFlight): boolean {
    if (this.#state !== 'healthy') return false;
    this.#inFlight.add(exchange);
    this.#lastAt = Date.now();
    if (this.#firstAt === 0) this.#firstAt = this.#lastAt;
    return true;
  }

  /**
   * Ends a claim. Only the first call for an exchange counts.
   * @param status of the app's answer; 0 when it gave none
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

  /** Takes a claim back, as if it had never been: nothing was sent, and another copy gets the request. */
  withdraw(exchange: InFlight): void {
    if (this.#inFlight.delete(exchange) && this.#state !== 'healthy') this.#settle();
  }

  /** It refused a connection. @param now monotonic, ms */
  refused(now: number): void {
    this.#refusals += 1;
    this.listener?.refused();
    this.#suspendedUntil = now + Math.min(SUSPEND_MS * 2 ** (this.#refusals - 1), SUSPEND_MAX_MS);
  }

  /** True while others are to be preferred. @param now monotonic, ms */
  isSuspended(now: number): boolean {
    return this.#refusals > 0 && now < this.#suspendedUntil;
  }

  /** No more claims from here on. */
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
   * Waits until nothing is in flight, and sees to it by the deadlines. Retires the target. Several may wait at once.
   * @param given up when it aborts: then the deadlines count no more, and what is in flight goes on
   */
  async drain(plan: DrainPlan, given: AbortSignal | null = null): Promise<Drained> {
    const startedAt = this.#clock.monotonic();
    this.retire();
    if (this.#state !== 'gone' && given?.aborted !== true) await this.#emptied(plan, given);
    return { ms: this.#clock.monotonic() - startedAt, forced: this.#forced, streams: this.#streamCount() };
  }

  /** For each stream in flight that was not dismissed yet: what dismisses it, unless that is done or it is over by then. */
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

  /** Also one that turned out to be a stream only after it was retired, as the head of its answer came. */
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

  /** @returns what takes the timers back */
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
    // Of what a drain began with: the others are closed for the end of the process.
    if (this.#state !== 'healthy') this.#streamsClosed += 1;
    exchange.dismiss();
  }

  #cut(exchange: InFlight): void {
    if (exchange.stream === null) this.#forced += 1;
    exchange.cut();
    // The engine counts a cut as it sees fit; a claim that it left open must not hold up the drain.
    this.release(exchange, 'failed', 0);
  }

  #streamCount(): StreamCount {
    const [carried, closed] = [this.#streamsCarried, this.#streamsClosed];
    return { carried, ended: Math.max(0, carried - closed), closed };
  }

  #settle(): void {
    if (this.#state !== 'draining' || this.#inFlight.size > 0) return;
    this.#state = 'gone';
    this.#goneAt = this.#clock.monotonic();
    for (const callback of this.#whenGone) callback();
    this.#whenGone.clear();
  }
}
