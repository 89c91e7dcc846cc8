/** Answers to bytes that are no HTTP request, or that took too long to become one. */
import type { Duplex } from 'node:stream';
import { CLIENT_TIMEOUT, HEAD_TOO_LARGE, rawPage, refused } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { Exchange } from './exchange.ts';
import { linger } from './linger.ts';
import type { EndTimes } from './linger.ts';

/** The failure for an error code of node's parser or connection check; null when there is nobody left to answer. */
function failureFor(code: string | undefined): Failure | null {
  if (code === 'HPE_HEADER_OVERFLOW') return HEAD_TOO_LARGE;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return CLIENT_TIMEOUT;
  return code?.startsWith('HPE_') ? refused(400, 'The request is not valid HTTP/1.1.') : null;
}

/**
 * The last request of each connection, so that an answer to garbage never lands inside, or in front of, the answer to a
 * request before it.
 */
export class BadClients {
  readonly #last = new WeakMap<Duplex, Exchange>();
  readonly #times: EndTimes;
  readonly #refused: (socket: Duplex, status: number) => void;

  /** @param refused told of a connection that was answered without a request */
  constructor(times: EndTimes, refused: (socket: Duplex, status: number) => void) {
    this.#times = times;
    this.#refused = refused;
  }

  began(exchange: Exchange): void {
    this.#last.set(exchange.req.socket, exchange);
  }

  /** For the server's `clientError`. */
  answer(error: NodeJS.ErrnoException, socket: Duplex): void {
    const failure = failureFor(error.code);
    const last = this.#last.get(socket);
    // A client that ends in the middle of a request has left, and waits for no answer before it either.
    if (!failure || error.code === 'HPE_INVALID_EOF_STATE') socket.destroy();
    // More of it, after our answer: it is being dropped.
    else if (!socket.writable) return;
    else if (!last || last.res.closed) this.refuse(socket, failure);
    // The garbage follows a request that is still being answered: its answer first.
    else if (last.req.complete) last.res.once('close', () => this.refuse(socket, failure));
    // The garbage is in the body of a request: this is its answer, unless the app has begun to give one.
    else if (last.res.headersSent) socket.destroy();
    else last.refuse(failure);
  }

  /** The last word on a connection without a request. */
  refuse(socket: Duplex, failure: Failure): void {
    if (!socket.writable) return;
    socket.write(rawPage(failure));
    linger(socket, this.#times);
    this.#refused(socket, failure.status);
  }
}
