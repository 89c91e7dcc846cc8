/**
 * Writes to a connected socket: what the kernel takes at once goes by one write(2), the rest is copied and left to the
 * stream. So the bytes that were given are free again when the call returns, and one buffer can serve the reads of all
 * connections; and the stream's own machinery per write (an object, a callback, a tick) is paid only by slow readers.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** What is behind a socket. Undocumented, and as old as node: the descriptor, valid while the socket has this handle. */
interface Handle {
  readonly fd?: number;
  /** Bytes that were given to the kernel and are not taken, which is what node's own socket timeouts look at. */
  readonly writeQueueSize?: number;
  /** With TLS: the connection under it. */
  readonly _parent?: Handle | null;
}

/** Bytes that may wait in a TLS connection before its reader counts as slow: the read of a target, and some. */
const SECURE_AHEAD = 131_072;

export class Outlet {
  readonly #socket: Socket & { readonly _handle?: Handle | null };
  #flushed: () => void;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  /** Of a plain, connected socket; -1: everything goes through the stream. */
  #fd = -1;
  #handle: Handle | null = null;
  readonly #isSecure: boolean;
  /** More waits than should: whoever gives bytes is to wait until it has gone. */
  #isPending = false;

  /**
   * @param flushed is called when nothing waits any more, after a write that answered false
   * @param failed is told why the kernel took nothing; the stream is given the bytes all the same
   */
  constructor(socket: Socket, flushed: () => void, failed: (error: NodeJS.ErrnoException) => void = () => undefined) {
    this.#socket = socket;
    this.#flushed = flushed;
    this.#failed = failed;
    this.#isSecure = socket instanceof TLSSocket;
  }

  /** From now on the socket is connected, and a plain one. */
  open(): void {
    this.#handle = this.#socket._handle ?? null;
    this.#fd = this.#handle?.fd ?? -1;
  }

  /** The socket has another user from now on. @param flushed as the constructor has it */
  passTo(flushed: () => void): void {
    this.#flushed = flushed;
  }

  get isPending(): boolean {
    return this.#isPending;
  }

  /** Bytes that the kernel has not taken yet. A reader that is slow and not gone makes it less from time to time. */
  get queued(): number {
    const handle = this.#socket._handle ?? null;
    return (handle?._parent ?? handle)?.writeQueueSize ?? 0;
  }

  /** The kernel has all that was written. Of TLS a fair amount may still wait when `write` has answered true. */
  get isEmpty(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** @returns false while too much of it waits */
  write(bytes: Buffer, start: number, end: number): boolean {
    if (this.#isSecure) return this.#encrypt(bytes.subarray(start, end));
    let from = start;
    // A socket that is destroyed has given its handle up in the same moment, and its descriptor may be another's by now.
    if (this.#fd >= 0 && !this.#isPending && this.#socket._handle === this.#handle) {
      from += this.#writeNow(bytes, start, end);
    }
    return from === end || this.#leaveToStream(Buffer.from(bytes.subarray(from, end)));
  }

  #writeNow(bytes: Buffer, start: number, end: number): number {
    try {
      return writeSync(this.#fd, bytes, start, end - start);
    } catch (error) {
      // EAGAIN: its buffer is full. Anything else the stream will find too, and end the connection by it.
      this.#failed(error as NodeJS.ErrnoException);
      return 0;
    }
  }

  /** TLS tells only later that the kernel has it; until a fair amount waits, that is no news. */
  #encrypt(bytes: Buffer): boolean {
    const waiting = this.#socket.writableLength;
    // What is first in line was encrypted, or copied, when `write` returned.
    const chunk = waiting === 0 ? bytes : Buffer.from(bytes);
    // Behind something that is told of when it has gone, this is, too: it is the last one then.
    if (this.#isPending || waiting + bytes.length > SECURE_AHEAD) return this.#leaveToStream(chunk);
    this.#socket.write(chunk);
    return true;
  }

  #leaveToStream(bytes: Buffer): boolean {
    this.#isPending = true;
    this.#socket.write(bytes, (error) => {
      // Lost, not taken: the close of the connection that follows says so.
      if (error) return;
      this.#isPending = this.#socket.writableLength > 0;
      if (!this.#isPending) this.#flushed();
    });
    return false;
  }
}

/** A connection with what writes to it. */
export interface Wire {
  readonly socket: Socket;
  readonly outlet: Outlet;
}
