/** One request on its way through the general engine, from a client to a target and back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Route } from '../routing/route.ts';
import type { Failure } from '../pages.ts';
import type { Target } from '../upstream/target.ts';
import type { Request } from './request.ts';

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly request: Request;
  readonly requestId: string;
  readonly route: Route;
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  readonly expectsContinue: boolean;
  /** Set for a WebSocket handshake: the client's connection, and what it sent after the head. */
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | null;
  /** True while the listener drains: the client is told not to use the connection again. */
  closing(): boolean;
  /** A failure that the proxy answers, or has to break the response for (`answered` false). Called at most once. */
  failed(failure: Failure, cause: unknown, answered: boolean, target: Target | null): void;
}
