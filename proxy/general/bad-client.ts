/** Answers to bytes that are no HTTP request, or that took too long to become one. */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { CLIENT_TIMEOUT, HEAD_TOO_LARGE, rawPage, refused } from '../pages.ts';
import type { Failure } from '../pages.ts';

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
  readonly #last = new WeakMap<Duplex, ServerResponse>();
  readonly #closeMs: number;

  constructor(closeMs: number) {
    this.#closeMs = closeMs;
  }

  began(res: ServerResponse): void {
    if (res.socket) this.#last.set(res.socket, res);
  }

  /** For the server's `clientError`. */
  answer(error: NodeJS.ErrnoException, socket: Duplex): void {
    const failure = failureFor(error.code);
    const last = this.#last.get(socket);
    if (!failure || !socket.writable) socket.destroy();
    else if (!last || last.closed) this.#refuse(socket, failure);
    // The garbage follows a request that is still being answered: its answer first.
    else if (last.req.complete) last.once('close', () => this.#refuse(socket, failure));
    // The garbage is in the body of a request: this is its answer, unless the app has begun to give one.
    else if (last.headersSent) socket.destroy();
    else this.#refuse(socket, failure);
  }

  #refuse(socket: Duplex, failure: Failure): void {
    if (!socket.writable) return void socket.destroy();
    socket.end(rawPage(failure));
    setTimeout(() => socket.destroy(), this.#closeMs).unref();
    return undefined;
  }
}
