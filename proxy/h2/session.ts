/** One HTTP/2 connection of a client: its requests, and what it may cost us. */
import { constants, performServerHandshake } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Context } from '../context.ts';
import type { Calls } from '../fast/call.ts';
import type { RequestIds } from '../fast/request-ids.ts';
import { givenRequestId } from '../general/headers.ts';
import { HOST_UNKNOWN, refused, TABLE_UNREADABLE } from '../pages.ts';
import type { Failure } from '../pages.ts';
import { needsGeneral } from '../policy/general.ts';
import type { Route } from '../routing/route.ts';
import type { Target } from '../upstream/target.ts';
import { breakStream } from './break.ts';
import { bridge } from './bridge.ts';
import type { Acceptor } from './bridge.ts';
import { Budget } from './budget.ts';
import { Exchange } from './exchange.ts';
import type { Carrier } from './exchange.ts';
import { Http1Sink } from './http1-leg.ts';
import type { Leg } from './leg.ts';
import { framingOf, http1Head, http2Head, OriginText } from './request-head.ts';
import { Request } from './request.ts';
import type { Client } from '../policy/client-address.ts';
import type { TargetSessions } from './target-sessions.ts';

/**
 * Bytes of all uploads of a connection that may be under way (RFC 9113 section 6.9). The protocol's 64 KiB would let all of
 * a client's uploads together have as much per round trip.
 */
const CONNECTION_WINDOW_BYTES = 1_048_576;

/** Who is at the other end of a connection. */
export interface Peer extends Client {
  /** What it says about the origin of its requests is believed, by the general engine. */
  readonly isTrusted: boolean;
}

/** What the sessions of a front share. */
export interface Shared {
  readonly context: Context;
  readonly calls: Calls;
  /** To apps that speak HTTP/2. */
  readonly sessions: TargetSessions;
  readonly general: Acceptor;
  readonly ids: RequestIds;
  readonly options: ServerOptions;
}

/** Methods that may be sent again when a connection was lost before anything came back (RFC 9110 section 9.2.2). */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Streams that a client may reset, or make us reset, before it has used up its credit; and how many it gets back per
 * second (CVE-2023-44487, CVE-2025-8671). A browser that leaves a page resets all its streams at once.
 */
const RESETS = { burst: 256, perSecond: 16 };

/** A stream whose client took nothing for so long is reset, ms: some 1 KiB/s is the least that we serve. */
const STALL_MS = 60_000;

/** A stream that waits for its client. */
interface Stall {
  readonly since: number;
  /** Bytes. */
  readonly waiting: number;
}

export class ClientSession implements Carrier {
  readonly clock: Clock;
  readonly #shared: Shared;
  readonly #session: ServerHttp2Session;
  readonly #peer: Peer;
  readonly #originText: OriginText;
  readonly #open = new Set<ServerHttp2Stream>();
  /** Those that wait for their client. */
  readonly #stalls = new Map<ServerHttp2Stream, Stall>();
  readonly #resets: Budget;
  /** When the last stream ended; the accepted connection counts as one. */
  #idleSince: number;
  #greeted = false;
  #closing = false;

  /** @param closed called once, when the connection is no more */
  constructor(socket: TLSSocket, peer: Peer, shared: Shared, closed: (session: ClientSession) => void) {
    const { clock } = shared.context;
    this.clock = clock;
    this.#shared = shared;
    this.#idleSince = clock.monotonic();
    this.#resets = new Budget(RESETS, this.#idleSince);
    this.#peer = peer;
    this.#originText = new OriginText({ clientAddress: peer.address, secure: peer.secure });
    this.#session = performServerHandshake(socket, shared.options);
    this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    // Broken connections and protocol errors: `close` follows, and with it the end of every exchange.
    this.#session.on('error', () => undefined);
    this.#session.on('close', () => closed(this));
    this.#session.once('remoteSettings', () => {
      this.#greeted = true;
    });
    this.#session.on('stream', (stream, _headers, flags, raw) => this.#arrived(stream, flags, raw));
  }

  /** Streams that wait for their client. */
  get stalled(): number {
    return this.#stalls.size;
  }

  /**
   * Tells the client to go and lets what is in flight finish. The first GOAWAY refuses nothing, so that requests which are
   * under way now are served (RFC 9113 section 6.8).
   */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#session.destroyed) return;
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
    const noticeMs = Math.min(1000, this.#shared.context.timeouts.closeMs);
    setTimeout(() => this.#session.close(), noticeMs).unref();
  }

  destroy(code: number = constants.NGHTTP2_NO_ERROR): void {
    if (this.#session.destroyed) return;
    if (code !== constants.NGHTTP2_NO_ERROR) this.#session.goaway(code);
    this.#session.destroy(undefined, code);
  }

  /** Once per second or so. @param stallMs how long a stream may wait for its client now */
  tick(now: number, stallMs: number = STALL_MS): void {
    const { clientIdleMs, clientHeadMs } = this.#shared.context.timeouts;
    if (!this.#greeted && now - this.#idleSince > clientHeadMs) return this.destroy();
    if (this.#open.size === 0 && now - this.#idleSince > clientIdleMs) return this.close();
    for (const stream of this.#open) this.#watch(stream, now, stallMs);
    return undefined;
  }

  #watch(stream: ServerHttp2Stream, now: number, stallMs: number): void {
    const waiting = stream.writableLength;
    const stall = this.#stalls.get(stream);
    if (!stream.writableNeedDrain) this.#stalls.delete(stream);
    else if (stall?.waiting !== waiting) this.#stalls.set(stream, { since: now, waiting });
    else if (now - stall.since > stallMs) breakStream(stream);
  }

  #arrived(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    // A reset concerns its exchange, which hears of it by `close`.
    stream.on('error', () => undefined);
    this.#open.add(stream);
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    const request = new Request(raw, hasBody, this.#peer, this.#shared.context.limits);
    const route = this.#routeOf(request);
    const isRare = request.expectsContinue || request.protocol === 'websocket' || this.#peer.isTrusted;
    if (request.failure === null && (isRare || isGeneral(route))) {
      this.#bridge(stream, request);
    } else this.#serve(stream, request, route);
  }

  #bridge(stream: ServerHttp2Stream, request: Request): void {
    bridge(stream, request, this.#shared.general);
    stream.on('close', () => this.#ended(stream, true));
  }

  #routeOf({ failure, host, path }: Request): Route | null {
    if (failure !== null) return null;
    return this.#shared.context.plane.routesOf(host)?.find(path) ?? null;
  }

  #serve(stream: ServerHttp2Stream, request: Request, route: Route | null): void {
    const { context, ids } = this.#shared;
    const requestId = givenRequestId(request.header('x-request-id')) ?? ids.text(ids.next());
    const exchange = new Exchange(stream, request, route, requestId, this);
    if (request.failure) return exchange.refuse(request.failure);
    if (request.protocol !== null) return exchange.refuse(refused(501, 'Only WebSocket can be connected to.'));
    if (route === null) return exchange.refuse(context.tableUnreadable() ? TABLE_UNREADABLE : HOST_UNKNOWN);
    const answer = route.policy?.judge(request) ?? null;
    if (answer !== null) return exchange.answer(answer);
    if (!exchange.forward()) this.#bridge(stream, request);
    return undefined;
  }

  ask(exchange: Exchange, target: Target): Leg {
    const { request, requestId, route } = exchange;
    const { timeouts } = this.#shared.context;
    const responseHeadMs = route?.responseHeadMs ?? timeouts.responseHeadMs;
    const idleMs = route?.idleMs ?? timeouts.streamIdleMs;
    if (route?.edge.appProtocol === 'h2c') {
      const ask = { head: http2Head(request, requestId), hasBody: request.hasBody, responseHeadMs, idleMs };
      return this.#shared.sessions.start(target, ask, exchange);
    }
    return this.#shared.calls.start(
      {
        target,
        head: http1Head(request, requestId, this.#originText),
        framing: framingOf(request),
        isHead: request.method === 'HEAD',
        idempotent: REPEATABLE.has(request.method) && !request.hasBody,
        responseHeadMs,
        idleMs,
        raw: false,
        bulk: false,
      },
      new Http1Sink(exchange),
    );
  }

  failed(route: Route, target: Target | null, failure: Failure, cause: unknown, answered: boolean): void {
    if (answered) route.upstream.countFailure();
    this.#shared.context.failures.record(route.upstream.id, target?.id ?? null, failure, cause);
  }

  ended(exchange: Exchange): void {
    if (exchange.route) exchange.route.metrics.ended(exchange);
    else this.#shared.context.observer.unrouted(exchange);
    this.#ended(exchange.client, exchange.outcome !== 'failed');
  }

  /** @param isClients false: what ended it, if it was reset, was no deed of the client */
  #ended(stream: ServerHttp2Stream, isClients: boolean): void {
    this.#open.delete(stream);
    this.#stalls.delete(stream);
    const now = this.clock.monotonic();
    if (this.#open.size === 0) this.#idleSince = now;
    const wasReset = isClients && stream.rstCode !== constants.NGHTTP2_NO_ERROR;
    if (wasReset && !this.#resets.take(now)) this.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

/** For an app that speaks HTTP/2 the way is direct, unless something else of the route needs the general engine. */
function isGeneral(route: Route | null): boolean {
  if (route === null || !route.general) return false;
  const { domain, edge, upstream } = route;
  return edge.appProtocol !== 'h2c' || needsGeneral(domain, { ...edge, appProtocol: 'http1' }, upstream.entry.canary);
}
