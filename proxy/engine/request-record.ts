/**
 * The record that an exchange keeps of its request for the observer, which is notified when the exchange ends. An
 * exchange of the fast engine serves many requests, and so has a record of its own (fast/record.ts).
 */
import type { Failure } from '../http/pages.ts';
import type { Ended } from '../observe/observer.ts';
import type { Route } from '../routing/route.ts';
import type { Outcome, Target } from '../upstream/target.ts';
import type { Context } from './context.ts';

/** The fields of a parsed request that the record needs. */
interface Read {
  readonly host: string;
  readonly target: string;
  readonly clientAddress: string;
  readonly secure: boolean;
}

export abstract class RequestRecord<R extends Read> implements Ended {
  abstract readonly engine: Ended['engine'];
  abstract readonly httpVersion: Ended['httpVersion'];
  abstract readonly method: string;
  abstract readonly requestId: string;
  abstract readonly targetId: string | null;
  readonly request: R;
  /** Null until a route is found. */
  route: Route | null = null;
  status = 0;
  outcome: Outcome = 'abandoned';
  appMs = 0;
  durationMs = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly #context: Context;
  readonly #startedAt: number;
  #isOver = false;

  constructor(request: R, context: Context) {
    this.request = request;
    this.#context = context;
    this.#startedAt = context.clock.monotonic();
  }

  get host(): string {
    return this.request.host;
  }

  get target(): string {
    return this.request.target;
  }

  get clientAddress(): string {
    return this.request.clientAddress;
  }

  get secure(): boolean {
    return this.request.secure;
  }

  /** Time since the head of the request, ms. */
  protected get ageMs(): number {
    return this.#context.clock.monotonic() - this.#startedAt;
  }

  /** True once the observer was notified, or another engine does it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The head of the app's response has arrived. */
  noteAnswer(status: number): void {
    this.status = status;
    this.appMs = this.ageMs;
  }

  /** Logs and counts a failure for which the proxy responds itself or breaks off the app's response. */
  noteFailure(failure: Failure, cause: unknown, target: Target | null): void {
    if (this.route === null) return;
    const { upstream } = this.route;
    upstream.countFailure();
    this.#context.failures.record(upstream.id, target?.id ?? null, failure, cause);
  }

  /** Ends the record and notifies the observer; only the first call counts. */
  conclude(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.outcome = outcome;
    this.durationMs = this.ageMs;
    if (this.route) this.route.metrics.ended(this);
    else this.#context.observer.unrouted(this);
  }

  /** Another engine serves the request, and notifies the observer. */
  handOver(): void {
    this.#isOver = true;
  }
}
