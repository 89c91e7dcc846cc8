/**
 * Pipelined requests of a connection, one at a time: only safe methods might be asked for at once (RFC 9112 section
 * 9.3.2), and after an answer that closes the connection nothing behind it may have been done.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests of one connection that wait, before no more of them are read. */
const MAX_WAITING = 64;

interface Line {
  current: ServerResponse;
  readonly waiting: { readonly res: ServerResponse; readonly begin: () => void }[];
  isPaused: boolean;
}

export class Turns {
  readonly #lines = new WeakMap<Duplex, Line>();

  /** The answer that is not with the kernel yet; null: there is none. */
  current(socket: Duplex): ServerResponse | null {
    return this.#lines.get(socket)?.current ?? null;
  }

  /**
   * Calls `begin` when all answers before are with the kernel; never when the connection has ended by then, or when the
   * request was answered meanwhile.
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
    // One that the client has left, or that we have said our last on: what was asked behind that is not ours to do.
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
