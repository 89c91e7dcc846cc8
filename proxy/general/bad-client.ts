/** Responses to bytes that are not an HTTP request, or took too long to become one. */
import type { Duplex } from 'node:stream';
import { CLIENT_TIMEOUT, HEAD_TOO_LARGE, rawPage, refused } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { Exchange } from './exchange.ts';
import { linger } from './linger.ts';
import type { EndTimes } from './linger.ts';

/** The failure for an error code of node's parser or connection check; null when nobody is left to respond to. */
function failureFor(code: string | undefined): Failure | null {
  if (code === 'HPE_HEADER_OVERFLOW') return HEAD_TOO_LARGE;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return CLIENT_TIMEOUT;
  return code?.startsWith('HPE_') ? refused(400, 'The request is not valid HTTP/1.1.') : null;
}

/**
 * Tracks the last request of each connection, so that the response to invalid bytes never lands inside or in front of
 * the response to an earlier request.
 */
export class BadClients {
  readonly #last = new WeakMap<Duplex, Exchange>();
  readonly #times: EndTimes;
  readonly #refused: (socket: Duplex, status: number) => void;

  /** @param refused called for a connection that got a response without a request */
  constructor(times: EndTimes, refused: (socket: Duplex, status: number) => void) {
    this.#times = times;
    this.#refused = refused;
  }

  began(exchange: Exchange): void {
    this.#last.set(exchange.req.socket, exchange);
  }

  /** Handles the server's `clientError` event. */
  answer(error: NodeJS.ErrnoException, socket: Duplex): void {
    const failure = failureFor(error.code);
    const last = this.#last.get(socket);
    // A client that ends in the middle of a request has left, and does not wait for an earlier response either.
    if (!failure || error.code === 'HPE_INVALID_EOF_STATE') socket.destroy();
    // More invalid bytes after our response: they are being dropped.
    else if (!socket.writable) return;
    else if (!last || last.res.closed) this.refuse(socket, failure);
    // The invalid bytes follow a request in progress: its response goes first.
    else if (last.req.complete) last.res.once('close', () => this.refuse(socket, failure));
    // The invalid bytes are in the body of a request: the failure is its response, unless the app's has begun.
    else if (last.res.headersSent) socket.destroy();
    else last.refuse(failure);
  }

  /** Sends a last response on a connection without a request. */
  refuse(socket: Duplex, failure: Failure): void {
    if (!socket.writable) return;
    socket.write(rawPage(failure));
    linger(socket, this.#times);
    this.#refused(socket, failure.status);
  }
}
