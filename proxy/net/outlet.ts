/**
 * Writes to a connected socket. One write(2) hands the kernel what it takes at once; the rest is copied and left to the
 * stream. So the caller may reuse its buffer when the call returns, and one buffer can serve the reads of all
 * connections. The stream's own cost per write (an object, a callback, a tick) arises only for slow readers.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * The handle of a socket. Undocumented, but as old as node: the descriptor is valid while the socket has this handle.
 */
interface Handle {
  readonly fd?: number;
  /** Bytes handed to libuv that the kernel has not taken; node's own socket timeouts use it. */
  readonly writeQueueSize?: number;
  /** With TLS: the handle of the underlying connection. */
  readonly _parent?: Handle | null;
}

/** Bytes that may be queued in a TLS connection before its reader counts as slow: more than one read of a target. */
const SECURE_AHEAD = 131_072;

export class Outlet {
  readonly #socket: Socket & { readonly _handle?: Handle | null };
  #flushed: () => void;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  /** The descriptor of a plain, connected socket; -1: everything goes through the stream. */
  #fd = -1;
  #handle: Handle | null = null;
  readonly #isSecure: boolean;
  /** Too much is queued: the writer should wait until it has drained. */
  #isPending = false;

  /**
   * @param flushed called when the queue has drained after a write that returned false
   * @param failed called with the error when write(2) failed; the bytes then go to the stream all the same
   */
  constructor(socket: Socket, flushed: () => void, failed: (error: NodeJS.ErrnoException) => void = () => undefined) {
    this.#socket = socket;
    this.#flushed = flushed;
    this.#failed = failed;
    this.#isSecure = socket instanceof TLSSocket;
  }

  /** Enables direct writes. The socket must be a plain one, and connected. */
  open(): void {
    this.#handle = this.#socket._handle ?? null;
    this.#fd = this.#handle?.fd ?? -1;
  }

  /** Passes the socket on to another user. @param flushed as in the constructor */
  passTo(flushed: () => void): void {
    this.#flushed = flushed;
  }

  get isPending(): boolean {
    return this.#isPending;
  }

  /** Bytes that the kernel has not taken yet. While a reader is slow but not gone, the number falls now and then. */
  get queued(): number {
    const handle = this.#socket._handle ?? null;
    return (handle?._parent ?? handle)?.writeQueueSize ?? 0;
  }

  /**
   * True when the kernel has taken everything. With TLS, up to `SECURE_AHEAD` may be queued although `write` returned
   * true.
   */
  get isEmpty(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** @returns false while too much is queued */
  write(bytes: Buffer, start: number, end: number): boolean {
    if (this.#isSecure) return this.#encrypt(bytes.subarray(start, end));
    let from = start;
    // A destroyed socket loses its handle at once, and its descriptor may already belong to another connection.
    if (this.#fd >= 0 && !this.#isPending && this.#socket._handle === this.#handle) {
      from += this.#writeNow(bytes, start, end);
    }
    return from === end || this.#leaveToStream(Buffer.from(bytes.subarray(from, end)));
  }

  #writeNow(bytes: Buffer, start: number, end: number): number {
    try {
      return writeSync(this.#fd, bytes, start, end - start);
    } catch (error) {
      // EAGAIN: the socket buffer is full. Any other error the stream will find too, and close the connection.
      this.#failed(error as NodeJS.ErrnoException);
      return 0;
    }
  }

  /** TLS reports only later that the kernel has taken the bytes; up to `SECURE_AHEAD` that does not count as slow. */
  #encrypt(bytes: Buffer): boolean {
    const waiting = this.#socket.writableLength;
    // The first chunk in the queue is encrypted, or copied, by the time `write` returns.
    const chunk = waiting === 0 ? bytes : Buffer.from(bytes);
    // While a flush is pending, this chunk must report it too, as it is now the last one.
    if (this.#isPending || waiting + bytes.length > SECURE_AHEAD) return this.#leaveToStream(chunk);
    this.#socket.write(chunk);
    return true;
  }

  #leaveToStream(bytes: Buffer): boolean {
    this.#isPending = true;
    this.#socket.write(bytes, (error) => {
      // The bytes are lost, not taken; the `close` event that follows reports it.
      if (error) return;
      this.#isPending = this.#socket.writableLength > 0;
      if (!this.#isPending) this.#flushed();
    });
    return false;
  }
}

/** A connection and its writer. */
export interface Wire {
  readonly socket: Socket;
  readonly outlet: Outlet;
}
