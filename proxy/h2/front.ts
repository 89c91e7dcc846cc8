/** HTTP/2 to clients over TLS, by node:http2's core API. */
import type { ServerOptions } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Context } from '../context.ts';
import type { Calls } from '../fast/call.ts';
import { ClientSession } from './session.ts';
import type { Shared } from './session.ts';

/** Requests at once on one connection. */
const MAX_STREAMS = 128;
/** Bytes of a request's body that may be under way; with MAX_STREAMS it bounds what a connection can make us hold. */
const WINDOW_BYTES = 65_535;

export class Http2Front {
  readonly #shared: Shared;
  readonly #sessions = new Set<ClientSession>();

  constructor(context: Context, calls: Calls) {
    this.#shared = { context, calls, options: sessionOptions(context) };
  }

  /** Takes over a connection whose ALPN is `h2`, after its handshake. */
  accept(socket: TLSSocket): void {
    this.#sessions.add(new ClientSession(socket, this.#shared, (session) => this.#sessions.delete(session)));
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.close();
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }
}

function sessionOptions({ limits }: Context): ServerOptions {
  return {
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      initialWindowSize: WINDOW_BYTES,
      // More than we take, so that a head that is a little too large gets a page and not a reset.
      maxHeaderListSize: 4 * limits.headBytes,
      enablePush: false,
      enableConnectProtocol: true,
    },
    maxHeaderListPairs: 2 * limits.headerFields,
    // Apps repeat fields that should be single; that is between them and their clients.
    strictSingleValueFields: false,
  };
}
