/**
 * One request to a target over HTTP/1.1 and its response, as bytes: the interface of the connections to targets
 * (connection.ts, pool.ts) to the fast engine and the HTTP/2 front.
 */
import type { Wire } from '../net/outlet.ts';
import type { Target } from '../upstream/target.ts';
import type { ResponseHead } from './response-head.ts';

/** How the request body is framed for the target. `chunked`: the call adds the chunk framing. */
export type RequestFraming = 'none' | 'length' | 'chunked';

export interface CallRequest {
  readonly target: Target;
  /**
   * The complete head with its empty line, framing fields included. With `length` framing, the first bytes of the body
   * may follow. Valid only during the call, and copied where it is kept.
   */
  readonly head: Buffer;
  readonly framing: RequestFraming;
  /** The request method is HEAD: the response has no body whatever its head says. */
  readonly isHead: boolean;
  /**
   * True when the request may be sent again on a new connection after a reused one was lost before any response byte
   * (RFC 9110 section 9.2.2).
   */
  readonly idempotent: boolean;
  /** Limit from the last byte sent to the response head, ms. */
  readonly responseHeadMs: number;
  /** Limit of silence while the response body is awaited, ms. */
  readonly idleMs: number;
  /**
   * True: `body` of the sink gets the bytes of a chunked response with their framing, to be forwarded as they are: up
   * to the line of the last chunk, or, when there are no trailers, to the empty line behind it.
   */
  readonly raw: boolean;
  /** The sink writes each piece through at once, so a long body may be read in large pieces. */
  readonly bulk: boolean;
  /**
   * For a WebSocket handshake: takes over the connection when the target switches protocols. After that neither the
   * sink nor the call may be used.
   * @param head of the 101. It is valid only during the call, as are the bytes behind it, up to `end` of `head.bytes`
   */
  readonly switched: ((wire: Wire, head: ResponseHead, end: number) => void) | null;
}

/** Why a call failed. `refused`: the connection could not be opened, so nothing was sent. */
export type CallFailure = 'refused' | 'connect-timeout' | 'timeout' | 'broken' | 'malformed';

/**
 * The client's side of a call. All methods are synchronous. After `end` or `failed` no other is called, and no method
 * of the {@link Call} may be: its connection may carry another request by then.
 */
export interface CallSink {
  /** An interim response for the client, valid only during the call. A 100 is none: no call asks for it. */
  information(head: ResponseHead): void;
  /** The response head, valid only during the call. */
  head(head: ResponseHead): void;
  /** Bytes of the body, valid only during the call. False: pause until {@link Call.resume}. */
  body(buffer: Buffer, start: number, end: number): boolean;
  /**
   * Everything from one read was passed; lets the sink write what it gathered. False: pause until {@link Call.resume}.
   */
  flush(): boolean;
  /**
   * The response is complete.
   * @param trailers that may be forwarded, as alternating names and values; null: none, or, with `raw`, their empty
   *   line was part of the body bytes
   */
  end(trailers: readonly string[] | null): void;
  /** The call failed. After `head` the body is incomplete, so the client's connection must be broken. */
  failed(reason: CallFailure, cause: unknown): void;
  /** The target accepts body bytes again. */
  drain(): void;
}

export interface Call {
  /** Sends bytes of the request body, copied where they are kept. False: wait for {@link CallSink.drain}. */
  write(bytes: Buffer): boolean;
  /** Ends the request body. @param trailers already filtered, as alternating names and values; only with `chunked` */
  end(trailers?: readonly string[]): void;
  /** The sink accepts bytes again. */
  resume(): void;
  /** The head of a bodiless request that could not be sent, to try it at another target; null: no copy was kept. */
  unsent(): Buffer | null;
  /** True where a chunked response can be ended early: between two chunks. */
  readonly isBetweenChunks: boolean;
  /** The client has left: drops the response. The sink is not called again. */
  abort(): void;
}

export interface Calls {
  /** Never throws. Before it returns, it may call only `failed` of the sink. */
  start(request: CallRequest, sink: CallSink): Call;
  /** Numbers of open connections to targets: idle in the pools, and in use. */
  readonly counts: { readonly idle: number; readonly busy: number };
  /** Closes idle connections to all targets. */
  close(): void;
}
