/** One HTTP/2 connection of a client: dispatches its requests and enforces its time limits. */
import type { Socket } from 'node:net';
import type { Config } from '../config.ts';
import type { Acceptor, Context } from '../engine/context.ts';
import type { DateLine } from '../http/date-line.ts';
import { givenRequestId } from '../http/headers.ts';
import { HOST_UNKNOWN, refused, TABLE_UNREADABLE } from '../http/pages.ts';
import type { RequestIds } from '../http/request-ids.ts';
import type { AddressRanges } from '../policy/allow-list.ts';
import { readClient } from '../policy/client-address.ts';
import type { Client } from '../policy/client-address.ts';
import { needsGeneral } from '../policy/general.ts';
import { forwardsLeft } from '../policy/max-forwards.ts';
import type { Route } from '../routing/route.ts';
import type { Call, Calls } from '../target/call.ts';
import type { Http2Sessions } from '../target/http2-sessions.ts';
import type { Target } from '../upstream/target.ts';
import { bridge } from './bridge.ts';
import { Http2Connection } from './connection.ts';
import type { Handler } from './connection.ts';
import { Exchange } from './exchange.ts';
import type { Carrier } from './exchange.ts';
import { Origin } from './origin.ts';
import { framingOf, http1Head, http2Head } from './request-head.ts';
import { Request } from './request.ts';
import type { ServerStream } from './stream.ts';
import type { Tools } from './tools.ts';
import { CODE } from './wire/codes.ts';
import type { FieldBlock } from './wire/field-block.ts';
import type { FieldList } from './wire/hpack-decoder.ts';

/** The peer of a connection. */
export interface Peer extends Client {
  /** The trusted proxies, if the peer is one of them and may name its clients; null: the peer itself is the client. */
  readonly trusted: AddressRanges | null;
}

/** The dependencies that the sessions of a front share. */
export interface Shared {
  readonly context: Context;
  readonly calls: Calls;
  /** Connections to targets that speak HTTP/2. */
  readonly sessions: Http2Sessions;
  readonly general: Acceptor;
  /** `http-proxy`: the general engine serves every request. */
  readonly engine: Config['engine'];
  readonly ids: RequestIds;
  readonly date: DateLine;
  readonly tools: Tools;
}

/** Methods that may be sent again when a connection was lost before any response byte (RFC 9110 section 9.2.2). */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);
const NO_PROTOCOL = refused(501, 'Only WebSocket can be connected to.');

/** How long a client may take less than {@link STALL_BYTES} of what is queued for it, ms. */
const STALL_MS = 60_000;
const STALL_BYTES = 4_096;

/** A stream whose response waits for the client. */
interface Stall {
  since: number;
  /** Octets that the stream had sent at that time. */
  sent: number;
}

/** `leaving`: GOAWAY was sent. `left`: our side is closed, and the client's FIN is awaited. */
type State = 'open' | 'leaving' | 'left';

export class ClientSession implements Carrier, Handler {
  readonly context: Context;
  readonly #shared: Shared;
  readonly #connection: Http2Connection;
  readonly #peer: Peer;
  readonly #origin: Origin;
  readonly #whenClosed: (session: ClientSession) => void;
  readonly #stalls = new Map<ServerStream, Stall>();
  /** Monotonic time, ms, since when there is no stream; initially, the start of the connection. */
  #idleSince: number;
  /** Since when an incomplete request, or the client's first SETTINGS, has been awaited; null: neither is. */
  #awaitedSince: number | null;
  /** Since when the socket has applied back-pressure. */
  #fullSince: number | null = null;
  /** Bytes still queued at the last check after our side was closed. */
  #queued = 0;
  #state: State = 'open';

  /** @param closed called once, when the connection is closed */
  constructor(socket: Socket, peer: Peer, shared: Shared, closed: (session: ClientSession) => void) {
    this.context = shared.context;
    this.#shared = shared;
    this.#peer = peer;
    this.#origin = new Origin(peer);
    this.#whenClosed = closed;
    this.#idleSince = this.context.clock.monotonic();
    this.#awaitedSince = this.#idleSince;
    this.#connection = new Http2Connection(socket, shared.tools, this);
  }

  /** See {@link Http2Connection.read}. */
  read(bytes: Buffer, start: number, end: number): boolean {
    return this.#connection.read(bytes, start, end);
  }

  get date(): DateLine {
    return this.#shared.date;
  }

  get block(): FieldBlock {
    return this.#shared.tools.block;
  }

  /** Number of streams whose responses wait for the client. */
  get stalled(): number {
    return this.#stalls.size;
  }

  /**
   * Shuts the connection down gracefully. The first GOAWAY refuses nothing, so that requests already on their way are
   * still served (RFC 9113 section 6.8).
   */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'leaving';
    this.#connection.goAway(false);
    const noticeMs = Math.min(1000, this.context.timeouts.closeMs);
    setTimeout(() => this.#connection.goAway(true), noticeMs).unref();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  /** Called about once per second. @param stallMs how long a stream may wait for its client at present */
  tick(now: number, stallMs: number = STALL_MS): void {
    const { clientIdleMs, clientHeadMs, closeMs } = this.context.timeouts;
    const { streams, isOpen, isFull, isWaitedFor } = this.#connection;
    const isIdle = streams.size === 0;
    this.#awaitedSince = isIdle && isWaitedFor ? (this.#awaitedSince ?? now) : null;
    this.#fullSince = isFull ? (this.#fullSince ?? now) : null;
    if (!isOpen) this.#sweepAway(now, closeMs, stallMs);
    else if (isOver(this.#awaitedSince, clientHeadMs, now) || isOver(this.#fullSince, stallMs, now)) this.destroy();
    else if (isIdle && now - this.#idleSince > clientIdleMs) this.close();
    else for (const stream of streams.values()) this.#watch(stream, now, stallMs);
  }

  // Handler

  request(stream: ServerStream, fields: FieldList, hasBody: boolean): void {
    this.#awaitedSince = null;
    const request = new Request(fields, hasBody, this.#originOf(fields), this.context.limits);
    if (request.isMalformed) {
      this.#connection.fault(stream, CODE.protocolError);
      return;
    }
    stream.expected = request.contentLength;
    const route = this.#routeOf(request);
    const { expectsContinue, protocol } = request;
    // The app would take the head for the complete request; the bridge waits until the client has ended it.
    const isUnended = hasBody && request.contentLength === 0;
    const isRare = isUnended || expectsContinue || protocol === 'websocket' || forwardsLeft(request) !== null;
    const isOthers = isRare || this.#shared.engine === 'http-proxy' || isGeneral(route);
    if (request.failure === null && isOthers) bridge(stream, request, this.#shared);
    else this.#serve(stream, request, route);
  }

  streamClosed(stream: ServerStream): void {
    this.#stalls.delete(stream);
    if (this.#connection.streams.size === 0) this.#idleSince = this.context.clock.monotonic();
  }

  closed(): void {
    this.#whenClosed(this);
  }

  // Carrier

  ask(exchange: Exchange, target: Target): Call {
    const { request, route } = exchange;
    const { timeouts } = this.context;
    // gRPC calls have deadlines of their own, and a streaming call may be silent for as long as there are no messages.
    const responseHeadMs = exchange.stream === 'grpc' ? Infinity : (route?.responseHeadMs ?? timeouts.responseHeadMs);
    const idleMs = route?.idleMs ?? timeouts.streamIdleMs;
    if (route?.edge.appProtocol === 'h2c') {
      const head = http2Head(request, exchange.requestId);
      return this.#shared.sessions.start(target, { head, hasBody: request.hasBody, responseHeadMs, idleMs }, exchange);
    }
    return this.#shared.calls.start(
      {
        target,
        head: Buffer.from(http1Head(request, exchange.requestId), 'latin1'),
        framing: framingOf(request),
        isHead: request.method === 'HEAD',
        idempotent: REPEATABLE.has(request.method) && !request.hasBody,
        responseHeadMs,
        idleMs,
        raw: false,
        bulk: false,
        switched: null,
      },
      exchange,
    );
  }

  idOf({ id, request }: Exchange): string {
    return id === 0 ? (givenRequestId(request.header('x-request-id')) ?? '') : this.#shared.ids.text(id);
  }

  /**
   * Destroys the connection some time after our side was closed: `closeMs` after the client has taken the last
   * responses and the GOAWAY, or `stallMs` after it stopped taking them.
   */
  #sweepAway(now: number, closeMs: number, stallMs: number): void {
    const { queued, isEmpty } = this.#connection.output;
    if (this.#state !== 'left' || queued !== this.#queued) this.#idleSince = now;
    this.#state = 'left';
    this.#queued = queued;
    if (now - this.#idleSince > (isEmpty ? closeMs : stallMs)) this.destroy();
  }

  #watch(stream: ServerStream, now: number, stallMs: number): void {
    stream.sink.tick();
    const stall = this.#stalls.get(stream);
    if (stream.waiting === 0) this.#stalls.delete(stream);
    else if (stall === undefined || stream.sent - stall.sent >= STALL_BYTES) {
      this.#stalls.set(stream, { since: now, sent: stream.sent });
    } else if (now - stall.since > stallMs) stream.break();
  }

  #originOf(fields: FieldList): Origin {
    const peer = this.#peer;
    if (peer.trusted === null) return this.#origin;
    return new Origin(readClient(peer, (name) => fields.valueOf(name), peer.trusted));
  }

  #routeOf(request: Request): Route | null {
    if (request.failure !== null) return null;
    const routes = this.context.plane.routesOf(request.host);
    return routes === null ? null : (routes.whole ?? routes.find(request.path));
  }

  #serve(stream: ServerStream, request: Request, route: Route | null): void {
    const { ids } = this.#shared;
    const isNamed = givenRequestId(request.header('x-request-id')) !== null;
    const exchange = new Exchange(stream, request, route, isNamed ? 0 : ids.next(), this);
    if (request.failure) return exchange.refuse(request.failure);
    if (request.protocol !== null) return exchange.refuse(NO_PROTOCOL);
    if (route === null) return exchange.refuse(this.context.tableUnreadable() ? TABLE_UNREADABLE : HOST_UNKNOWN);
    // The general engine judges a held request itself. Judging it here too would count it twice against a rate limit.
    const answer = route.upstream.refusal === 'held' ? null : (route.policy?.judge(request) ?? null);
    if (answer !== null) return exchange.answer(answer);
    if (!exchange.forward()) bridge(stream, request, this.#shared);
    return undefined;
  }
}

function isOver(since: number | null, limitMs: number, now: number): boolean {
  return since !== null && now - since > limitMs;
}

/**
 * True when the route needs the general engine. For an app that speaks HTTP/2, only other features of the route count.
 */
function isGeneral(route: Route | null): boolean {
  if (route === null || !route.general) return false;
  const { domain, edge, upstream } = route;
  return edge.appProtocol !== 'h2c' || needsGeneral(domain, { ...edge, appProtocol: 'http1' }, upstream.entry.canary);
}
