/**
 * The general engine: http-proxy behind a guard. The guard owns everything that can go wrong between the two
 * connections: the claim, which connection a request may use, the one retry, time limits, leaving clients, broken
 * targets, and the end of the claim. What goes back to the client is in response.ts, WebSockets are in tunnel.ts.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Limits, Timeouts } from '../config.ts';
import { answerPage, APP_TIMEOUT, APP_UNAVAILABLE, APP_UNREACHABLE, CLIENT_TIMEOUT } from '../pages.ts';
import type { Failure } from '../pages.ts';
import type { Outcome } from '../observe/observer.ts';
import { asObject } from '../h2/fields.ts';
import { GRPC_UNAVAILABLE, isGrpc } from '../h2/grpc.ts';
import { H2cAgents } from '../h2/h2c-agent.ts';
import { makeEngine } from './engine.ts';
import type { Attempt, Engine } from './engine.ts';
import type { Exchange } from './exchange.ts';
import { passedTrailers, requestHeaders } from './headers.ts';
import { Pools } from './pool.ts';
import { abort, passInformation, passResponse, switchProtocols } from './response.ts';
import { openTunnel, WaitingClient } from './tunnel.ts';
import type { Tunnel } from './tunnel.ts';
import type { Visitor } from '../upstream/canary.ts';
import type { Waiter } from '../upstream/hold.ts';
import type { InFlight, StreamKind, Target } from '../upstream/target.ts';
import type { Clock } from '../clock.ts';

/** The engine of node's parser and http-proxy. */
export interface General {
  /** Claims a target and takes the exchange over: answers it, and releases the claim exactly once. Never throws. */
  forward(exchange: Exchange): void;
  /** Closes idle connections to all targets. */
  close(): void;
}

export function makeGeneral(limits: Limits, timeouts: Timeouts, clock: Clock): General {
  const tools: Tools = {
    engine: makeEngine(),
    pools: new Pools(limits, timeouts),
    h2c: new H2cAgents(timeouts, clock),
    timeouts,
    clock,
  };
  return {
    forward: (exchange) => new Guard(exchange, tools).start(),
    close: () => {
      tools.pools.close();
      tools.h2c.close();
    },
  };
}

interface Tools {
  readonly engine: Engine;
  readonly pools: Pools;
  readonly h2c: H2cAgents;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
}

/**
 * Safe and without a body: the only requests that may use a connection which the target may be closing this moment,
 * since they alone may be sent a second time. Everything else gets a fresh connection, so that for a POST there is
 * never the question whether a lost connection had done its work.
 */
function mayUsePool({ req, request, upgrade }: Exchange): boolean {
  return upgrade === null && !request.hasBody && ['GET', 'HEAD', 'OPTIONS'].includes(req.method ?? '');
}

/**
 * What of the way back has happened: nothing yet; the target's response is coming; it came in full (or became a tunnel);
 * the exchange failed and the client has our page or is cut off; we have ended an event stream.
 */
type Phase = 'asking' | 'answering' | 'whole' | 'failed' | 'concluded';

/** True when the response can be ended without a lie: nothing but its end says how long it is. */
function endsByChunk({ req, res }: Exchange): boolean {
  return req.httpVersion === '1.1' && !res.hasHeader('content-length');
}

/** connect(2) found nobody at the address, or no way to it. */
function isRefusal(error: NodeJS.ErrnoException): boolean {
  return error.syscall === 'connect';
}

/** One exchange from its claim to the claim's end. */
class Guard implements InFlight, Waiter {
  stream: StreamKind | null = null;
  readonly #exchange: Exchange;
  readonly #tools: Tools;
  readonly #waiting: WaitingClient | null;
  #target: Target | null = null;
  #tunnel: Tunnel | null = null;
  #upstream: ClientRequest | null = null;
  /** Of the app's answer; 0 before it. */
  #status = 0;
  /** Bytes that the connection had given before this attempt: more means that something came back. */
  #bytesBefore = 0;
  #retried = false;
  #phase: Phase = 'asking';
  #outcome: Outcome = 'abandoned';
  #ended = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(exchange: Exchange, tools: Tools) {
    this.#exchange = exchange;
    this.#tools = tools;
    this.#waiting = exchange.upgrade ? new WaitingClient(exchange.upgrade.socket, exchange.upgrade.head) : null;
  }

  start(): void {
    const { req, res, route } = this.#exchange;
    // `finish`: the last byte is with the kernel. `close` without it: the client has left.
    res.once('finish', () => this.#finished());
    res.once('close', () => this.#end());
    // A write to a client that has just left. Its `close` says all.
    res.on('error', () => undefined);
    // Before the pipe of the engine ends the request, so that the trailers go in front of its end.
    req.once('end', () => this.#passTrailers());
    if (route.edge.appProtocol === 'h2c' && isGrpc(req.headers['content-type'])) this.stream = 'grpc';
    if (this.#claim() || (route.upstream.refusal === 'held' && route.upstream.enter(this))) return;
    this.#fail(APP_UNAVAILABLE, `no target takes requests (${route.upstream.refusal})`);
  }

  /** What a waiting request has in memory: node reads no more of its body than that. */
  get bytes(): number {
    const { req, request, upgrade } = this.#exchange;
    const head = req.rawHeaders.reduce((sum, text) => sum + text.length, request.target.length);
    return head + (request.hasBody || upgrade ? req.socket.readableHighWaterMark : 0);
  }

  /** The end of a hold. */
  go(): void {
    if (!this.#claim()) this.refuse();
  }

  /** Waited in a hold for nothing. */
  refuse(): void {
    this.#fail(APP_UNAVAILABLE, 'waited in vain for the end of a hold');
  }

  #claim(): boolean {
    this.#target = this.#exchange.route.upstream.claim(this, null, this.#visitor());
    if (this.#target) this.#attempt(this.#target, mayUsePool(this.#exchange));
    return this.#target !== null;
  }

  #visitor(): Visitor {
    const { req, request } = this.#exchange;
    return { clientAddress: request.clientAddress, header: (name) => req.headers[name]?.toString() };
  }

  /** The drain deadline of plain requests. */
  cut(): void {
    if (this.#tunnel) {
      this.#tunnel.end();
      this.#end();
    } else this.#fail(APP_UNAVAILABLE, 'cut at the deadline of a drain');
  }

  dismiss(): void {
    if (this.#tunnel) this.#tunnel.dismiss();
    else if (this.#phase === 'answering' && endsByChunk(this.#exchange)) this.#conclude();
    else this.cut();
  }

  /** Ends an event stream as its app could have done at any time, and a gRPC call with a status. */
  #conclude(): void {
    const { res } = this.#exchange;
    if (this.stream === 'grpc') res.addTrailers(asObject(GRPC_UNAVAILABLE));
    this.#phase = 'concluded';
    this.#outcome = 'served';
    this.#upstream?.destroy();
    res.end();
  }

  #attempt(target: Target, pooled: boolean): void {
    const { req, res, request, requestId, route, upgrade } = this.#exchange;
    const { engine, pools, h2c } = this.#tools;
    const { clientAddress: address, secure, authority } = request;
    const origin = { address, protocol: secure ? ('https' as const) : ('http' as const), authority, requestId };
    const headers = requestHeaders(req.rawHeaders, origin, upgrade !== null);
    const agent = route.edge.appProtocol === 'h2c' ? h2c.of(target) : pooled ? pools.of(target) : pools.fresh;
    try {
      engine.launch(req, res, headers, { address: target.address, port: target.port, agent }, this.#watch());
    } catch (error) {
      // node:http refuses to send something that its parser had let in (none is known); the visitor is told.
      this.#fail(APP_UNREACHABLE, error);
    }
  }

  /** The events of one attempt. Those of an attempt that a retry has replaced are of no interest. */
  #watch(): Attempt {
    let upstream: ClientRequest | null = null;
    const isCurrent = (): boolean => upstream === this.#upstream;
    this.#upstream = null;
    return {
      opened: (request) => {
        upstream = request;
        this.#upstream = request;
        this.#opened(request);
      },
      response: (response) => {
        if (isCurrent()) this.#response(response);
      },
      failed: (error) => {
        // The engine reports a leaving client's request in the same way as a broken target.
        if (error === this.#exchange.req.errored) this.#exchange.res.destroy();
        else if (isCurrent()) this.#broken(error);
      },
    };
  }

  /** The connection is chosen and nothing was sent yet. */
  #opened(upstream: ClientRequest): void {
    const { request, expectsContinue } = this.#exchange;
    const { socket } = upstream;
    if (!this.#isAsking() || !socket || upstream.headersSent) {
      upstream.destroy();
      return;
    }
    upstream.path = request.target;
    if (expectsContinue) upstream.setHeader('Expect', '100-continue');
    this.#bytesBefore = socket.bytesRead;
    upstream.on('information', (info) => passInformation(this.#exchange, info));
    upstream.on('upgrade', (response, socket, head) => this.#upgraded(response, socket, head));
    if (socket.connecting) {
      this.#deadline(this.#tools.timeouts.connectMs, () => this.#fail(APP_TIMEOUT, 'connect'));
      socket.once('connect', () => this.#awaitResponse());
    } else this.#awaitResponse();
    if (request.hasBody) upstream.flushHeaders();
  }

  /** The limit counts from the last byte that came of the request: a long upload is no silence of the app. */
  #awaitResponse(): void {
    if (!this.#isAsking()) return;
    const { req } = this.#exchange;
    const { bytesRead } = req.socket;
    this.#deadline(this.#tools.timeouts.responseHeadMs, () => {
      if (!req.complete && req.socket.bytesRead !== bytesRead) return this.#awaitResponse();
      const clientStalls = !req.complete && !this.#upstream?.writableNeedDrain;
      return this.#fail(clientStalls ? CLIENT_TIMEOUT : APP_TIMEOUT, 'response head');
    });
  }

  #response(response: IncomingMessage): void {
    if (!this.#isAsking()) {
      response.destroy();
      return;
    }
    this.#phase = 'answering';
    this.#status = response.statusCode ?? 0;
    if (response.headers['content-type']?.startsWith('text/event-stream')) this.stream = 'events';
    this.#clearDeadline();
    passResponse(this.#exchange, response, {
      whole: () => {
        this.#phase = 'whole';
      },
      broken: (error) => this.#fail(APP_UNREACHABLE, error),
    });
  }

  /**
   * The connection to the target failed. Node reports a reset here also when the response has begun, and then ends a
   * response that only the connection's end frames as if it had come in full.
   */
  #broken(error: Error): void {
    if (this.#ended || this.#phase === 'whole') return;
    if (this.#phase === 'asking' && this.#mayRetry()) this.#again(this.#target, false);
    else if (this.#phase === 'asking' && isRefusal(error)) this.#refused(error);
    else this.#fail(APP_UNREACHABLE, error);
  }

  /** Nobody listens at the target, so nothing was sent: another copy may have the request, whatever it is. */
  #refused(error: Error): void {
    const refusing = this.#target;
    refusing?.refused(this.#tools.clock.monotonic());
    const { route, request } = this.#exchange;
    if (this.#retried || refusing === null || request.hasBody) return this.#fail(APP_UNREACHABLE, error);
    refusing.release(this, 'abandoned', 0);
    const other = route.upstream.claim(this, refusing, this.#visitor());
    this.#target = other;
    return other === null || other === refusing
      ? this.#fail(APP_UNREACHABLE, error)
      : this.#again(other, mayUsePool(this.#exchange));
  }

  #again(target: Target | null, pooled: boolean): void {
    this.#retried = true;
    this.#clearDeadline();
    if (target) this.#attempt(target, pooled);
  }

  /** The target had closed its idle connection as we wrote to it (RFC 9112 section 9.3.1): a fresh one, once. */
  #mayRetry(): boolean {
    const upstream = this.#upstream;
    if (this.#retried || !upstream?.reusedSocket || !mayUsePool(this.#exchange)) return false;
    return upstream.socket?.bytesRead === this.#bytesBefore;
  }

  #upgraded(response: IncomingMessage, socket: Socket, head: Buffer): void {
    const { res, upgrade } = this.#exchange;
    // Its errors end the tunnel by the `close` that follows them.
    socket.on('error', () => undefined);
    if (!this.#isAsking() || !upgrade || response.headers.upgrade?.toLowerCase() !== 'websocket') {
      socket.destroy();
      this.#fail(APP_UNREACHABLE, 'switched protocols unasked');
      return;
    }
    this.#phase = 'whole';
    this.#status = 101;
    this.stream = 'websocket';
    this.#clearDeadline();
    res.detachSocket(upgrade.socket);
    const early = this.#waiting?.take();
    upgrade.socket.write(switchProtocols(response));
    if (head.length > 0) upgrade.socket.write(head);
    if (early && early.length > 0) socket.write(early);
    this.#outcome = 'served';
    this.#tunnel = openTunnel(upgrade.socket, socket, this.#tools.timeouts, () => this.#end());
  }

  /** The proxy's own answer, or, when the app's has begun, an end that the client cannot take for a complete one. */
  #fail(failure: Failure, cause: unknown): void {
    if (this.#ended || this.#phase === 'failed' || this.#phase === 'concluded') return;
    const { res } = this.#exchange;
    const answered = !res.headersSent;
    const ours = failure === CLIENT_TIMEOUT;
    this.#outcome = ours ? 'abandoned' : 'failed';
    this.#phase = 'failed';
    this.#clearDeadline();
    this.#upstream?.destroy();
    if (!res.destroyed && !ours) this.#exchange.failed(failure, cause, answered, this.#target);
    if (answered) answerPage(res, failure, ours || this.#mustClose());
    else abort(this.#exchange);
  }

  /** A client that waited for `100 Continue` and got an answer instead may or may not send its body now. */
  #mustClose(): boolean {
    return this.#exchange.closing() || (this.#exchange.expectsContinue && !this.#exchange.req.complete);
  }

  #passTrailers(): void {
    const trailers = passedTrailers(this.#exchange.req.rawTrailers);
    if (trailers.length > 0 && this.#upstream?.getHeader('transfer-encoding')) this.#upstream.addTrailers(trailers);
  }

  #finished(): void {
    if (this.#phase === 'whole') this.#outcome = 'served';
    this.#end();
  }

  /** The exchange is over for the client. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#clearDeadline();
    const { req } = this.#exchange;
    if (this.#target) this.#target.release(this, this.#outcome, this.#status);
    else this.#exchange.route.upstream.leave(this);
    // One that has both request and response behind it may be in the pool again, or is a tunnel.
    if (!(this.#phase === 'whole' && req.complete)) this.#upstream?.destroy();
    // What is left of a body that was answered early is read and dropped, so that the next request can be read.
    if (!req.complete) {
      req.unpipe();
      req.resume();
    }
  }

  /** True while the target's response is awaited. */
  #isAsking(): boolean {
    return !this.#ended && this.#phase === 'asking';
  }

  #deadline(ms: number, act: () => void): void {
    this.#clearDeadline();
    this.#timer = setTimeout(act, ms);
  }

  #clearDeadline(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
