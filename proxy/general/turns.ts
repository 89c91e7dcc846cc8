/**
 * Runs the pipelined requests of a connection one at a time: only safe methods could run concurrently (RFC 9112 section
 * 9.3.2), and nothing behind a response that closes the connection may have been executed.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Waiting requests of one connection above which no more are read. */
const MAX_WAITING = 64;

interface Line {
  current: ServerResponse;
  readonly waiting: { readonly res: ServerResponse; readonly begin: () => void }[];
  isPaused: boolean;
}

export class Turns {
  readonly #lines = new WeakMap<Duplex, Line>();

  /** The response in progress, which the kernel has not taken in full yet; null: there is none. */
  current(socket: Duplex): ServerResponse | null {
    return this.#lines.get(socket)?.current ?? null;
  }

  /**
   * Calls `begin` when the kernel has taken all earlier responses; never if the connection has ended by then, or the
   * request got a response meanwhile.
   */
  take(socket: Duplex, res: ServerResponse, begin: () => void): void {
    const line = this.#lines.get(socket);
    if (line === undefined) {
      this.#lines.set(socket, { current: res, waiting: [], isPaused: false });
      this.#begin(socket, res, begin);
      return;
    }
    line.waiting.push({ res, begin });
    if (line.waiting.length < MAX_WAITING || line.isPaused) return;
    line.isPaused = true;
    socket.pause();
  }

  #begin(socket: Duplex, res: ServerResponse, begin: () => void): void {
    // When the client has left, or got our last response, later requests must not be executed.
    if (!socket.writable) return;
    res.once('close', () => this.#next(socket));
    if (!res.writableEnded) begin();
  }

  #next(socket: Duplex): void {
    const line = this.#lines.get(socket);
    const next = line?.waiting.shift();
    if (line?.isPaused === true && line.waiting.length <= MAX_WAITING / 2) {
      line.isPaused = false;
      socket.resume();
    }
    if (line === undefined || next === undefined) {
      this.#lines.delete(socket);
      return;
    }
    line.current = next.res;
    this.#begin(socket, next.res, next.begin);
  }
}
