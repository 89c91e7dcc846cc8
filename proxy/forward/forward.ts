/** What the edge asks of an engine. A faster engine takes the place of the one behind it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Request } from '../request.ts';
import type { Claim } from '../target.ts';
import type { Failure } from '../pages.ts';

/** One request with its claim, on its way from a client to a target and back. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly request: Request;
  readonly requestId: string;
  readonly protocol: 'http' | 'https';
  readonly claim: Claim;
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  readonly expectsContinue: boolean;
  /** Set for a WebSocket handshake: the client's connection, and what it sent after the head. */
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | null;
  /** True while the listener drains: the client is told not to use the connection again. */
  closing(): boolean;
  /** A failure that the proxy answers, or has to break the response for (`answered` false). Called at most once. */
  failed(failure: Failure, cause: unknown, answered: boolean): void;
}

export interface Forward {
  /** Takes the exchange over: answers it, and releases its claim exactly once. Never throws. */
  forward(exchange: Exchange): void;
  /** Closes idle connections to all targets. */
  close(): void;
}
