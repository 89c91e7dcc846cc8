/**
 * One request to a target over HTTP/1.1 and its answer, as bytes: what the fast engine and the HTTP/2 front ask of the
 * connections to targets (connection.ts, pool.ts).
 */
import type { Wire } from '../net/outlet.ts';
import type { Target } from '../upstream/target.ts';
import type { ResponseHead } from './response-head.ts';

/** How the body of a request is framed for the target. `chunked`: the call adds the chunk framing. */
export type RequestFraming = 'none' | 'length' | 'chunked';

export interface CallRequest {
  readonly target: Target;
  /**
   * The complete head with its empty line, framing fields included, and, when the framing is `length`, as much of the
   * body as there is. Copied where it is kept; valid during the call only.
   */
  readonly head: Buffer;
  readonly framing: RequestFraming;
  /** The request method was HEAD: its answer has no body whatever its head says. */
  readonly isHead: boolean;
  /** May be sent again on a fresh connection when a reused one was lost before anything came back (RFC 9110 9.2.2). */
  readonly idempotent: boolean;
  /** ms from the last byte sent to the head of the answer. */
  readonly responseHeadMs: number;
  /** ms of silence while the body of the answer is awaited. */
  readonly idleMs: number;
  /**
   * True: `body` of the sink gets the bytes of a chunked answer with their framing, to be passed on as they are: up to the
   * line of the last chunk, or to the empty line behind it when there are no trailers.
   */
  readonly raw: boolean;
  /** The sink writes what it is given through at once: a long body may come in large pieces. */
  readonly bulk: boolean;
  /**
   * For a WebSocket handshake: takes the connection over when the target switches. No call of the sink follows, and none
   * of the call may.
   * @param head of its 101; valid only during the call, as what came behind it is, up to `end` of `head.bytes`
   */
  readonly switched: ((wire: Wire, head: ResponseHead, end: number) => void) | null;
}

/** Why a call came to nothing. `refused`: no connection, and so nothing was sent. */
export type CallFailure = 'refused' | 'connect-timeout' | 'timeout' | 'broken' | 'malformed';

/**
 * The side of the client. All calls are synchronous; after `end` or `failed` none follows, and none of the {@link Call} may: its
 * connection may carry another request by then.
 */
export interface CallSink {
  /** 103 Early Hints; other interim answers are dropped. */
  information(head: ResponseHead): void;
  /** The head of the answer. Valid only during the call. */
  head(head: ResponseHead): void;
  /** Bytes of the body, valid only during the call. False: no more until {@link Call.resume}. */
  body(buffer: Buffer, start: number, end: number): boolean;
  /** All that one read brought has been given. For sinks that gather it. False: no more until {@link Call.resume}. */
  flush(): boolean;
  /**
   * The answer is complete.
   * @param trailers names and values in turn, those that may pass; null: none, and with `raw` the empty line that ends
   *   them was in the bytes of the body
   */
  end(trailers: readonly string[] | null): void;
  /** After `head` was called the client's connection must be broken: its body is not complete. */
  failed(reason: CallFailure, cause: unknown): void;
  /** The target takes body bytes again. */
  drain(): void;
}

export interface Call {
  /** Bytes of the request's body, copied where they are kept. False: wait for {@link CallSink.drain}. */
  write(bytes: Buffer): boolean;
  /** The request's body is complete. @param trailers names and values in turn, already filtered; only with `chunked` */
  end(trailers?: readonly string[]): void;
  /** The sink takes bytes again. */
  resume(): void;
  /** The head of a request without a body, when it could not be sent to anybody: to be tried at another target. */
  unsent(): Buffer | null;
  /** True where a chunked answer can be ended: between two of its chunks. */
  readonly isBetweenChunks: boolean;
  /** The client has left: nothing of the answer is of interest. No call of the sink follows. */
  abort(): void;
}

export interface Calls {
  /** Never throws. The sink may be called before it returns only by `failed`. */
  start(request: CallRequest, sink: CallSink): Call;
  /** Connections to targets now: idle in the pools, and in use. */
  readonly counts: { readonly idle: number; readonly busy: number };
  /** Closes idle connections to all targets. */
  close(): void;
}
