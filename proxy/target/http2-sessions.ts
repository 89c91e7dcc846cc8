/**
 * HTTP/2 without TLS (h2c) to apps that speak it, such as gRPC servers: connections per target, shared by many
 * requests, and retired with their target.
 */
import type { ClientHttp2Session } from 'node:http2';
import type { Clock } from '../clock.ts';
import type { Timeouts } from '../config.ts';
import { Pulse } from '../net/pulse.ts';
import type { Target } from '../upstream/target.ts';
import type { Call } from './call.ts';
import { Http2Call } from './http2-call.ts';
import type { Http2CallRequest, Http2CallSink } from './http2-call.ts';

/** Concurrent requests on one connection, unless the target allows fewer. */
const MAX_STREAMS = 100;
/** Idle time after which a connection is closed, ms. */
const IDLE_MS = 60_000;
/** Flow-control window per request, bytes of its response. */
const WINDOW_BYTES = 65_535;

const OPTIONS = {
  settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
  // Clients may repeat single-value fields; the app decides what to do about that.
  strictSingleValueFields: false,
};

/** One HTTP/2 connection to a target. */
export class Http2Session {
  readonly http2: ClientHttp2Session;
  readonly calls = new Set<Http2Call>();
  /** False while connecting, and if connecting failed. */
  connected = false;
  timedOut = false;
  idleSince: number;
  readonly #isSingle: boolean;

  /** @param isSingle true: the connection serves one request only */
  constructor(target: Target, timeouts: Timeouts, now: number, isSingle: boolean, closed: () => void) {
    this.idleSince = now;
    this.#isSingle = isSingle;
    // Loaded on first use: it takes 1 MB, which hosts without gRPC save.
    this.http2 = process.getBuiltinModule('node:http2').connect(`http://${target.address}:${target.port}`, OPTIONS);
    const late = setTimeout(() => {
      this.timedOut = true;
      this.http2.destroy(new Error('no connection in time'));
    }, timeouts.connectMs);
    this.http2.once('connect', () => {
      clearTimeout(late);
      this.connected = true;
    });
    // Each call learns of it from the `close` of its stream.
    this.http2.on('error', () => undefined);
    this.http2.once('close', () => {
      clearTimeout(late);
      closed();
    });
  }

  get hasRoom(): boolean {
    const { closed, destroyed, remoteSettings } = this.http2;
    if (closed || destroyed || this.#isSingle) return false;
    return this.calls.size < Math.min(MAX_STREAMS, remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS);
  }

  /** A request has ended. */
  left(call: Http2Call, now: number): void {
    this.calls.delete(call);
    this.idleSince = now;
    if (this.#isSingle) this.close();
  }

  /** Accepts no more requests; running ones finish. */
  close(): void {
    if (!this.http2.closed && !this.http2.destroyed) this.http2.close();
  }
}

export class Http2Sessions {
  readonly #timeouts: Timeouts;
  readonly #clock: Clock;
  readonly #sessions = new Map<Target, Http2Session[]>();
  /** All that are open, also those that take no further calls. */
  readonly #all = new Set<Http2Session>();
  readonly #pulse: Pulse;
  #closing = false;

  constructor(timeouts: Timeouts, clock: Clock) {
    this.#timeouts = timeouts;
    this.#clock = clock;
    this.#pulse = new Pulse(clock);
    this.#pulse.watch(this.#all, (session) => this.#check(session));
  }

  /** Like `Calls.start` (call.ts), it never throws. The sink is not called before it returns. */
  start(target: Target, ask: Http2CallRequest, sink: Http2CallSink): Call {
    const call = new Http2Call(ask, sink, this.#clock, () => this.#sessionFor(target));
    call.start();
    return call;
  }

  /** Closes idle connections now and the others when they become idle. */
  close(): void {
    this.#closing = true;
    for (const target of this.#sessions.keys()) this.#retire(target);
  }

  #sessionFor(target: Target): Http2Session {
    const known = this.#sessions.get(target);
    return known?.find(({ hasRoom }) => hasRoom) ?? this.#open(target);
  }

  #open(target: Target): Http2Session {
    const now = this.#clock.monotonic();
    // The target was retired just after it was claimed: the connection serves this request and is not kept.
    const isSingle = this.#closing || target.state !== 'healthy';
    const session = new Http2Session(target, this.#timeouts, now, isSingle, () => this.#closed(target, session));
    this.#pulse.wake();
    this.#all.add(session);
    if (isSingle) return session;
    const known = this.#sessions.get(target);
    if (known) known.push(session);
    else {
      this.#sessions.set(target, [session]);
      target.onRetired(() => this.#retire(target));
    }
    return session;
  }

  #closed(target: Target, session: Http2Session): void {
    this.#all.delete(session);
    const sessions = this.#sessions.get(target);
    const at = sessions?.indexOf(session) ?? -1;
    if (at >= 0) sessions?.splice(at, 1);
  }

  #retire(target: Target): void {
    for (const session of this.#sessions.get(target) ?? []) session.close();
    this.#sessions.delete(target);
  }

  #check(session: Http2Session): void {
    const { now } = this.#pulse;
    for (const call of session.calls) call.checkDeadline(now);
    if (session.calls.size === 0 && now - session.idleSince > IDLE_MS) session.close();
  }
}
