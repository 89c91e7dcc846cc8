/**
 * The time limits of one exchange in the general engine. It waits for one thing at a time: a connection, the head of the
 * answer, progress of it; and beside that the body of the request has to keep its pace.
 */
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { Timeouts } from '../config.ts';
import { isTooSlow } from '../http/body-rate.ts';
import { APP_TIMEOUT, CLIENT_TIMEOUT } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { StreamKind } from '../upstream/target.ts';
import type { Exchange } from './exchange.ts';

/** How often in the time of a silence, or of a grace, it is looked at. */
const LOOKS = 4;

/** What the limits are for. */
export interface Limited {
  readonly exchange: Exchange;
  /** Of the present attempt. */
  readonly upstream: ClientRequest | null;
  /** The head of the answer is awaited. */
  readonly isAsking: boolean;
  readonly stream: StreamKind | null;
  fail(failure: Failure, cause: unknown): void;
  /** The target does not take the connection. */
  unreached(): void;
  /** The client does not take its answer. */
  abort(): void;
}

interface RouteTimes {
  /** From the last byte of the request to the head of the answer, ms. */
  readonly responseHeadMs: number;
  /** Silence in an answer, ms. */
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

  /** @param socket to the target, perhaps not connected yet */
  asked(socket: Socket): void {
    if (socket.connecting) {
      this.#wait(this.#timeouts.connectMs, () => this.#of.unreached());
      socket.once('connect', () => this.#awaitResponse());
    } else this.#awaitResponse();
  }

  /** The head of the answer has come. */
  answered(): void {
    this.#awaitProgress(-1, 0);
  }

  /** The first byte of the body has come. Once an answer comes, the two may be a conversation, and silence is what counts. */
  bodyBegan(): void {
    // A body whose request was answered before it came is only read and dropped.
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

  /** Nothing is waited for, for now. */
  clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The exchange is over. */
  end(): void {
    this.#isOver = true;
    this.clear();
    if (this.#pace) clearInterval(this.#pace);
    this.#pace = null;
  }

  /** The limit counts from the last byte that came of the request: a long upload is no silence of the app. */
  #awaitResponse(): void {
    if (!this.#of.isAsking) return;
    // Calls of gRPC have deadlines of their own, and those of streams may be silent for as long as there is no news.
    if (this.#of.stream === 'grpc') return this.clear();
    const { req } = this.#of.exchange;
    const { bytesRead } = req.socket;
    this.#wait(this.#route.responseHeadMs, () => {
      if (!req.complete && req.socket.bytesRead !== bytesRead) return this.#awaitResponse();
      const clientStalls = !req.complete && !this.#of.upstream?.writableNeedDrain;
      return this.#of.fail(clientStalls ? CLIENT_TIMEOUT : APP_TIMEOUT, 'response head');
    });
  }

  /** Ends an answer that stands still: the app says no more of it, or the client does not take it. */
  #awaitProgress(before: number, quiet: number): void {
    const { exchange, upstream } = this.#of;
    const { req, res } = exchange;
    const { clientStallMs } = this.#timeouts;
    const { idleMs } = this.#route;
    // Behind the answer its connection may be another request's: node calls this one destroyed from then on.
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
