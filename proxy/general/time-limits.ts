/**
 * The time limits of one exchange in the general engine. It awaits one thing at a time (a connection, the response
 * head, progress of the response), and in parallel the request body must keep its minimum rate.
 */
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { Timeouts } from '../config.ts';
import { isTooSlow } from '../http/body-rate.ts';
import { APP_TIMEOUT, CLIENT_TIMEOUT } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { StreamKind } from '../upstream/target.ts';
import type { Exchange } from './exchange.ts';

/** Number of checks per time limit, of silence or of grace. */
const LOOKS = 4;

/** The exchange that the limits apply to. */
export interface Limited {
  readonly exchange: Exchange;
  /** The request of the current attempt. */
  readonly upstream: ClientRequest | null;
  /** True while the response head is awaited. */
  readonly isAsking: boolean;
  readonly stream: StreamKind | null;
  fail(failure: Failure, cause: unknown): void;
  /** The target does not accept the connection. */
  unreached(): void;
  /** The client does not read its response. */
  abort(): void;
}

interface RouteTimes {
  /** Limit from the last byte of the request to the response head, ms. */
  readonly responseHeadMs: number;
  /** Limit of silence in a response, ms. */
  readonly idleMs: number;
}

export class TimeLimits {
  readonly #of: Limited;
  readonly #timeouts: Timeouts;
  readonly #route: RouteTimes;
  #timer: NodeJS.Timeout | null = null;
  #pace: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(of: Limited, timeouts: Timeouts, route: RouteTimes) {
    this.#of = of;
    this.#timeouts = timeouts;
    this.#route = route;
  }

  /** @param socket the connection to the target, perhaps not established yet */
  asked(socket: Socket): void {
    if (socket.connecting) {
      this.#wait(this.#timeouts.connectMs, () => this.#of.unreached());
      socket.once('connect', () => this.#awaitResponse());
    } else this.#awaitResponse();
  }

  /** The response head has arrived. */
  answered(): void {
    this.#awaitProgress(-1, 0);
  }

  /**
   * The first byte of the request body has arrived. The rate counts only until the response begins: then client and app
   * may be in a dialogue, and only silence counts.
   */
  bodyBegan(): void {
    // A body that arrives after the response is only read and dropped.
    if (this.#isOver) return;
    const began = performance.now();
    const { bodyGraceMs } = this.#timeouts;
    this.#pace = setInterval(() => {
      const { exchange, upstream, isAsking } = this.#of;
      const isClients = isAsking && !exchange.req.complete && upstream?.writableNeedDrain !== true;
      if (isClients && isTooSlow(exchange.bytesIn, performance.now() - began, bodyGraceMs)) {
        this.#of.fail(CLIENT_TIMEOUT, 'the body of the request trickles');
      }
    }, bodyGraceMs / LOOKS);
  }

  /** Nothing is awaited for the time being. */
  clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Stops all limits when the exchange is over. */
  end(): void {
    this.#isOver = true;
    this.clear();
    if (this.#pace) clearInterval(this.#pace);
    this.#pace = null;
  }

  /** The limit counts from the last byte of the request: a long upload is not the app's silence. */
  #awaitResponse(): void {
    if (!this.#of.isAsking) return;
    // gRPC calls have deadlines of their own, and a streaming call may be silent for as long as there are no messages.
    if (this.#of.stream === 'grpc') return this.clear();
    const { req } = this.#of.exchange;
    const { bytesRead } = req.socket;
    this.#wait(this.#route.responseHeadMs, () => {
      if (!req.complete && req.socket.bytesRead !== bytesRead) return this.#awaitResponse();
      const clientStalls = !req.complete && !this.#of.upstream?.writableNeedDrain;
      return this.#of.fail(clientStalls ? CLIENT_TIMEOUT : APP_TIMEOUT, 'response head');
    });
  }

  /** Ends a response without progress: the app sends no more of it, or the client does not read it. */
  #awaitProgress(before: number, quiet: number): void {
    const { exchange, upstream } = this.#of;
    const { req, res } = exchange;
    const { clientStallMs } = this.#timeouts;
    const { idleMs } = this.#route;
    // After the response the connection may serve another request: node then reports this request as destroyed.
    const ofApp = upstream?.destroyed === false ? (upstream.socket?.bytesRead ?? 0) : 0;
    const moved = req.socket.bytesRead + req.socket.bytesWritten + ofApp;
    const quietNow = moved === before ? quiet : 0;
    const isClients = req.socket.writableLength > 0 || res.writableLength > 0;
    const limitMs = isClients ? Math.min(idleMs, clientStallMs) : idleMs;
    const tickMs = Math.min(idleMs, clientStallMs) / LOOKS;
    if (quietNow < limitMs) this.#wait(tickMs, () => this.#awaitProgress(moved, quietNow + tickMs));
    else if (isClients) this.#of.abort();
    else this.#of.fail(APP_TIMEOUT, 'nothing moves');
  }

  #wait(ms: number, act: () => void): void {
    this.clear();
    this.#timer = setTimeout(act, ms);
  }
}
