/**
 * The guard around http-proxy. It owns what can go wrong between the two connections: the claim and its release, the
 * choice of the connection, the one retry, clients that leave, and broken targets. The request to the target is built
 * in target-head.ts, the response to the client in response.ts; time limits are in time-limits.ts, WebSockets in
 * tunnel.ts.
 */
import type { ClientRequest, IncomingMessage, InformationEvent } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Timeouts } from '../config.ts';
import { asObject } from '../http/field-list.ts';
import { GRPC_UNAVAILABLE, isGrpc } from '../http/grpc.ts';
import { passedTrailers } from '../http/headers.ts';
import { MAX_INTERIM } from '../http/interim.ts';
import { APP_TIMEOUT, APP_UNAVAILABLE, APP_UNREACHABLE, BODY_TOO_LARGE, CLIENT_TIMEOUT } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { Compressors } from '../policy/compression.ts';
import type { Route } from '../routing/route.ts';
import { TargetSocket } from '../target/socket.ts';
import type { Waiter } from '../upstream/hold.ts';
import type { InFlight, Outcome, StreamKind, Target } from '../upstream/target.ts';
import type { Attempt, Engine } from './engine.ts';
import type { Exchange } from './exchange.ts';
import type { H2cAgents } from './h2c-agent.ts';
import type { Agents } from './agents.ts';
import { abort, passInformation, passResponse, switchProtocols } from './response.ts';
import { targetHeaders, targetPath } from './target-head.ts';
import { TimeLimits } from './time-limits.ts';
import type { Limited } from './time-limits.ts';
import { openTunnel, WaitingClient } from './tunnel.ts';
import type { Tunnel } from './tunnel.ts';

/** The dependencies that all exchanges share. */
interface Tools {
  readonly engine: Engine;
  readonly agents: Agents;
  readonly h2c: H2cAgents;
  readonly compressors: Compressors;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
}

/**
 * Progress of the response. `asking`: none yet. `answering`: the target's response is arriving. `whole`: it arrived in
 * full, or became a tunnel. `failed`: the client got an error page or was cut off. `concluded`: we ended an event
 * stream.
 */
type Phase = 'asking' | 'answering' | 'whole' | 'failed' | 'concluded';

/** True for failures that the client caused; the app has not failed. */
function isClients(failure: Failure): boolean {
  return failure === CLIENT_TIMEOUT || failure === BODY_TOO_LARGE;
}

/** True when connect(2) failed: nobody listens at the address, or there is no route to it. */
function isRefusal(error: NodeJS.ErrnoException): boolean {
  return error.syscall === 'connect';
}

/** One exchange from the claim of its target to the release. */
export class Guard implements InFlight, Waiter, Limited {
  stream: StreamKind | null = null;
  readonly exchange: Exchange;
  readonly #route: Route;
  readonly #tools: Tools;
  readonly #waiting: WaitingClient | null;
  readonly #limits: TimeLimits;
  #target: Target | null = null;
  #tunnel: Tunnel | null = null;
  upstream: ClientRequest | null = null;
  /** Status of the app's response; 0 before it arrives. */
  #status = 0;
  /** Bytes read from the connection before this attempt: a higher count means that a response has begun. */
  #bytesBefore = 0;
  #retried = false;
  #interim = 0;
  #phase: Phase = 'asking';
  #outcome: Outcome = 'abandoned';
  #ended = false;

  constructor(exchange: Exchange, route: Route, tools: Tools) {
    this.exchange = exchange;
    this.#route = route;
    this.#tools = tools;
    this.#limits = new TimeLimits(this, tools.timeouts, route);
    this.#waiting = exchange.upgrade ? new WaitingClient(exchange.upgrade.socket, exchange.upgrade.head) : null;
  }

  start(): void {
    const { req, res } = this.exchange;
    const { upstream, edge } = this.#route;
    // `finish`: the last byte is with the kernel. `close` without it: the client has left.
    res.once('finish', () => this.#finished());
    res.once('close', () => this.#end());
    // A write to a client that has just left fails; `close` is handled.
    res.on('error', () => undefined);
    // Registered before the engine's pipe, which ends the request: the trailers must be set before that.
    req.once('end', () => this.#passTrailers());
    if (edge.appProtocol === 'h2c' && isGrpc(req.headers['content-type'])) this.stream = 'grpc';
    if (this.#claim() || (upstream.refusal === 'held' && upstream.enter(this))) return;
    this.fail(APP_UNAVAILABLE, `no target takes requests (${upstream.refusal})`);
  }

  get bytes(): number {
    return this.exchange.bytes;
  }

  /** The hold ended. */
  go(): void {
    if (!this.#claim()) this.refuse();
  }

  /** The hold ended without a target to claim. */
  refuse(): void {
    this.fail(APP_UNAVAILABLE, 'waited in vain for the end of a hold');
  }

  #claim(): boolean {
    const target = this.#route.upstream.claim(this, null, this.exchange);
    this.#target = target;
    if (target === null) return false;
    this.#attempt(target, this.exchange.mayUsePool);
    if (this.exchange.request.hasBody) this.#countBody();
    return true;
  }

  /** Counts the body beside the engine's pipe, which must be set up first, or the body would flow too soon. */
  #countBody(): void {
    const limit = this.#route.edge.maxBodyBytes;
    // Messages of a gRPC call may be far apart.
    if (this.stream !== 'grpc') this.exchange.req.once('data', () => this.#limits.bodyBegan());
    this.exchange.req.on('data', (chunk: Buffer) => {
      this.exchange.bytesIn += chunk.length;
      const isWanted = this.#phase === 'asking' || this.#phase === 'answering';
      if (isWanted && limit > 0 && this.exchange.bytesIn > limit) this.fail(BODY_TOO_LARGE, `more than ${limit} bytes`);
    });
  }

  /** Called at the drain deadline of plain requests. */
  cut(): void {
    if (this.#tunnel) {
      this.#tunnel.end();
      this.#end();
    } else this.fail(APP_UNAVAILABLE, 'cut at the deadline of a drain');
  }

  dismiss(): void {
    if (this.#tunnel) this.#tunnel.dismiss();
    else if (this.#phase === 'answering' && this.exchange.endsByChunk) this.#conclude();
    else this.cut();
  }

  /** Ends an event stream as the app could have done at any time, and a gRPC call with a status. */
  #conclude(): void {
    const { res } = this.exchange;
    if (this.stream === 'grpc') res.addTrailers(asObject(GRPC_UNAVAILABLE));
    this.#phase = 'concluded';
    this.#outcome = 'served';
    this.upstream?.destroy();
    res.end();
  }

  #attempt(target: Target, pooled: boolean): void {
    const { req, res } = this.exchange;
    const { engine, agents, h2c } = this.#tools;
    const headers = targetHeaders(this.exchange, this.#route);
    const isH2c = this.#route.edge.appProtocol === 'h2c';
    const agent = isH2c ? h2c.of(target) : pooled ? agents.of(target) : agents.fresh;
    const to = { address: target.address, port: target.port, agent };
    this.#trySending(() => engine.launch(req, res, headers, to, this.#watch()));
  }

  #trySending(send: () => void): void {
    try {
      send();
    } catch (error) {
      // node:http refuses to send what its parser accepted (no case is known); the visitor gets an error page.
      this.fail(APP_UNREACHABLE, error);
    }
  }

  /** Handles the events of one attempt. Those of an attempt that a retry has replaced are ignored. */
  #watch(): Attempt {
    let upstream: ClientRequest | null = null;
    const isCurrent = (): boolean => upstream === this.upstream;
    this.upstream = null;
    return {
      opened: (request) => {
        upstream = request;
        this.upstream = request;
        this.#trySending(() => this.#opened(request));
      },
      response: (response) => {
        if (isCurrent()) this.#response(response);
      },
      failed: (error) => {
        // The engine reports a request whose client left in the same way as a broken target.
        if (error === this.exchange.req.errored) this.exchange.res.destroy();
        else if (isCurrent()) this.#broken(error);
      },
    };
  }

  /** The connection is chosen, and nothing was sent yet. */
  #opened(upstream: ClientRequest): void {
    const { request, expectsContinue } = this.exchange;
    const { socket } = upstream;
    if (!this.isAsking || !socket || upstream.headersSent) {
      upstream.destroy();
      return;
    }
    upstream.path = targetPath(this.exchange, this.#route);
    if (expectsContinue) upstream.setHeader('Expect', '100-continue');
    this.#bytesBefore = socket.bytesRead;
    upstream.on('information', (info) => this.#information(info));
    upstream.on('upgrade', (response, socket, head) => this.#upgraded(response, socket, head));
    this.#limits.asked(socket);
    if (request.hasBody) upstream.flushHeaders();
  }

  #information(info: InformationEvent): void {
    this.#interim += 1;
    if (this.#interim <= MAX_INTERIM) passInformation(this.exchange, info);
    else if (this.isAsking) this.fail(APP_UNREACHABLE, 'too many interim answers');
  }

  #response(response: IncomingMessage): void {
    if (!this.isAsking) {
      response.destroy();
      return;
    }
    // An unsolicited 101 without upgrade fields: node takes it for the response, and clients would wait on.
    if (response.statusCode === 101) {
      this.fail(APP_UNREACHABLE, 'switched protocols unasked');
      return;
    }
    this.#phase = 'answering';
    this.#status = response.statusCode ?? 0;
    if (response.headers['content-type']?.startsWith('text/event-stream')) this.stream = 'events';
    // Streams of messages are not compressed.
    const isCompressed = this.#route.edge.compression && this.stream === null;
    this.#limits.answered();
    passResponse(this.exchange, response, isCompressed ? this.#tools.compressors : null, {
      whole: () => {
        if (this.#phase === 'answering') this.#phase = 'whole';
      },
      broken: (error) => this.#phase !== 'whole' && this.fail(APP_UNREACHABLE, error),
    });
  }

  /**
   * The connection to the target failed. Node reports a reset here also after the response has begun, and then ends a
   * response that is framed by the connection's end as if it were complete.
   */
  #broken(error: Error): void {
    if (this.#ended || this.#phase === 'whole') return;
    if (this.#phase === 'asking' && this.#mayRetry()) this.#again(this.#target, false);
    else if (this.#phase === 'asking' && isRefusal(error)) this.#refused(APP_UNREACHABLE, error);
    else this.fail(APP_UNREACHABLE, error);
  }

  unreached(): void {
    this.#refused(APP_TIMEOUT, 'connect');
  }

  /**
   * The target could not be reached, so nothing was sent: another container may serve the request, whatever its method.
   */
  #refused(failure: Failure, cause: unknown): void {
    const refusing = this.#target;
    refusing?.refused(this.#tools.clock.monotonic());
    if (this.#retried || refusing === null || this.exchange.request.hasBody) return this.fail(failure, cause);
    refusing.withdraw(this);
    const other = this.#route.upstream.claim(this, refusing, this.exchange);
    this.#target = other;
    if (other === null || other === refusing) return this.fail(failure, cause);
    // A connection that may still be established is not needed any more.
    this.upstream?.destroy();
    return this.#again(other, this.exchange.mayUsePool);
  }

  #again(target: Target | null, pooled: boolean): void {
    this.#retried = true;
    this.#limits.clear();
    if (target) this.#attempt(target, pooled);
  }

  /** True when the target may have closed its idle connection just as we wrote to it (RFC 9112 section 9.3.1). */
  #mayRetry(): boolean {
    const upstream = this.upstream;
    if (this.#retried || !upstream?.reusedSocket || !this.exchange.mayUsePool) return false;
    return upstream.socket?.bytesRead === this.#bytesBefore;
  }

  #upgraded(response: IncomingMessage, socket: Socket, head: Buffer): void {
    const { res, upgrade } = this.exchange;
    // Its errors are followed by `close`, which ends the tunnel.
    socket.on('error', () => undefined);
    if (!this.isAsking || !upgrade || response.headers.upgrade?.toLowerCase() !== 'websocket') {
      socket.destroy();
      this.fail(APP_UNREACHABLE, 'switched protocols unasked');
      return;
    }
    if (socket instanceof TargetSocket) socket.isHeardOut = false;
    this.#phase = 'whole';
    this.#status = 101;
    this.exchange.noteAnswer(101);
    this.stream = 'websocket';
    this.#limits.clear();
    res.detachSocket(upgrade.socket);
    const early = this.#waiting?.take();
    upgrade.socket.write(switchProtocols(response));
    // Early bytes must pass through the tunnel too: it tracks frames from their first byte.
    if (head.length > 0) socket.unshift(head);
    if (early && early.length > 0) upgrade.socket.unshift(early);
    this.#outcome = 'served';
    const times = { ...this.#tools.timeouts, idleMs: this.#route.idleMs };
    const { bytesRead, bytesWritten } = upgrade.socket;
    this.#tunnel = openTunnel(upgrade.socket, socket, times, () => {
      this.exchange.bytesIn = upgrade.socket.bytesRead - bytesRead;
      this.exchange.bytesOut = upgrade.socket.bytesWritten - bytesWritten;
      this.#end();
    });
  }

  /**
   * Sends an error page, or, when the app's response has begun, breaks the connection so that the client cannot take
   * the response for complete.
   */
  fail(failure: Failure, cause: unknown): void {
    if (this.#ended || this.#phase === 'failed' || this.#phase === 'concluded') return;
    const { req, res } = this.exchange;
    const isAnswered = !res.headersSent;
    this.#outcome = isClients(failure) ? 'abandoned' : 'failed';
    this.#phase = 'failed';
    this.#limits.clear();
    req.unpipe();
    this.upstream?.destroy();
    if (!res.destroyed && !isClients(failure)) this.exchange.noteFailure(failure, cause, this.#target);
    if (isAnswered) this.exchange.refuse(failure);
    else abort(this.exchange);
  }

  abort(): void {
    abort(this.exchange);
  }

  #passTrailers(): void {
    const trailers = passedTrailers(this.exchange.req.rawTrailers);
    if (trailers.length > 0 && this.upstream?.getHeader('transfer-encoding')) this.upstream.addTrailers(trailers);
  }

  #finished(): void {
    if (this.#phase === 'whole') this.#outcome = 'served';
    this.#end();
  }

  /** Ends the exchange: the client has its response or is gone. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#limits.end();
    const { req } = this.exchange;
    this.exchange.targetId = this.#target?.id ?? null;
    if (this.#target) this.#target.release(this, this.#outcome, this.#status);
    else this.#route.upstream.leave(this);
    this.exchange.conclude(this.#outcome);
    // A connection that has completed request and response may be in the pool again, or is a tunnel.
    if (!(this.#phase === 'whole' && req.complete)) this.upstream?.destroy();
    // The rest of a body that got an early response is read and dropped, so that the next request can be read.
    if (!req.complete) {
      req.unpipe();
      req.resume();
    }
  }

  /** True while the target's response is awaited. */
  get isAsking(): boolean {
    return !this.#ended && this.#phase === 'asking';
  }
}
