/** One HTTP/2 connection of a client: its requests, and what it may cost us. */
import { randomUUID } from 'node:crypto';
import { constants, performServerHandshake } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Context } from '../context.ts';
import type { Calls } from '../fast/call.ts';
import { givenRequestId, plainAddress } from '../general/headers.ts';
import { HOST_UNKNOWN, TABLE_UNREADABLE } from '../pages.ts';
import type { Failure } from '../pages.ts';
import type { Route } from '../routing/route.ts';
import type { Target } from '../upstream/target.ts';
import { Exchange } from './exchange.ts';
import type { Carrier } from './exchange.ts';
import { Http1Sink } from './http1-leg.ts';
import type { Leg } from './leg.ts';
import { framingOf, http1Head } from './request-head.ts';
import { Request } from './request.ts';
import type { ClientOrigin } from './request.ts';

/** What the sessions of a front share. */
export interface Shared {
  readonly context: Context;
  readonly calls: Calls;
  readonly options: ServerOptions;
}

/** Methods that may be sent again when a connection was lost before anything came back (RFC 9110 section 9.2.2). */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);

export class ClientSession implements Carrier {
  readonly clock: Clock;
  readonly #shared: Shared;
  readonly #session: ServerHttp2Session;
  readonly #origin: ClientOrigin;
  readonly #open = new Set<Exchange>();

  /** @param closed called once, when the connection is no more */
  constructor(socket: TLSSocket, shared: Shared, closed: (session: ClientSession) => void) {
    this.clock = shared.context.clock;
    this.#shared = shared;
    this.#origin = { address: plainAddress(socket.remoteAddress ?? ''), secure: true };
    this.#session = performServerHandshake(socket, shared.options);
    // Broken connections and protocol errors: `close` follows, and with it the end of every exchange.
    this.#session.on('error', () => undefined);
    this.#session.on('close', () => closed(this));
    this.#session.on('stream', (stream, _headers, flags, raw) => this.#arrived(stream, flags, raw));
  }

  /** Lets what is in flight finish. */
  close(): void {
    this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  #arrived(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    const { context } = this.#shared;
    // A reset concerns its exchange, which hears of it by `close`.
    stream.on('error', () => undefined);
    const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
    const request = new Request(raw, hasBody, this.#origin, context.limits);
    const route = request.failure === null ? (context.plane.routesOf(request.host)?.find(request.path) ?? null) : null;
    const requestId = givenRequestId(request.header('x-request-id')) ?? randomUUID();
    const exchange = new Exchange(stream, request, route, requestId, this);
    this.#open.add(exchange);
    if (request.failure) return exchange.refuse(request.failure);
    if (route === null) return exchange.refuse(context.tableUnreadable() ? TABLE_UNREADABLE : HOST_UNKNOWN);
    const answer = route.policy?.judge(request) ?? null;
    return answer === null ? exchange.forward() : exchange.answer(answer);
  }

  ask(exchange: Exchange, target: Target): Leg {
    const { request, requestId, route } = exchange;
    const edge = route?.edge;
    const isHead = request.method === 'HEAD';
    const idempotent = REPEATABLE.has(request.method) && !request.hasBody;
    const { timeouts } = this.#shared.context;
    return this.#shared.calls.start(
      {
        target,
        head: http1Head(request, requestId),
        framing: framingOf(request),
        isHead,
        idempotent,
        responseHeadMs: edge ? edge.responseSeconds * 1000 : timeouts.responseHeadMs,
        idleMs: edge ? edge.idleSeconds * 1000 : timeouts.streamIdleMs,
        raw: false,
      },
      new Http1Sink(exchange),
    );
  }

  stalled(): void {}

  moved(): void {}

  failed(route: Route, target: Target | null, failure: Failure, cause: unknown, answered: boolean): void {
    if (answered) route.upstream.countFailure();
    this.#shared.context.failures.record(route.upstream.id, target?.id ?? null, failure, cause);
  }

  ended(exchange: Exchange): void {
    this.#open.delete(exchange);
    if (exchange.route) exchange.route.metrics.ended(exchange);
    else this.#shared.context.observer.unrouted(exchange);
  }
}
