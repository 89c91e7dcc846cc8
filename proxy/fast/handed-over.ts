/** A connection that the fast engine has read from, wrapped as a plain stream for the general engine. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { resetConnection } from '../net/reset.ts';

/**
 * Implements what node:http and the guard need of a connection, over a socket that delivers its reads to a callback.
 * From now on that callback must pass its bytes to {@link HandedOver.feed}.
 */
export class HandedOver extends Duplex {
  readonly #socket: Socket;

  /** @param first bytes that were already read; the stream keeps this buffer */
  constructor(socket: Socket, first: Buffer) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('timeout', () => this.emit('timeout'));
    socket.once('end', () => this.push(null));
    socket.once('error', (error) => this.destroy(error));
    socket.once('close', () => this.destroy());
    this.push(first);
  }

  /** Copies the bytes of a read. False: the reader is behind; pause until `_read` resumes the socket. */
  feed(bytes: Buffer): boolean {
    return this.push(Buffer.from(bytes));
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  setTimeout(ms: number, callback?: () => void): this {
    this.#socket.setTimeout(ms);
    if (callback) this.once('timeout', callback);
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** Sends RST, which the client cannot take for the end of a complete response. */
  resetAndDestroy(): this {
    resetConnection(this.#socket);
    return this;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    chunks.forEach(({ chunk }, index) => this.#socket.write(chunk, index === chunks.length - 1 ? done : undefined));
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
