/** A connection that the fast engine has read from, as a plain stream for the general engine. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { resetConnection } from '../net/reset.ts';

/**
 * What node:http and the guard ask of a connection, over a socket whose reads land in a callback. The callback gives its
 * bytes to {@link HandedOver.feed} from now on.
 */
export class HandedOver extends Duplex {
  readonly #socket: Socket;

  /** @param first what was read before, kept by this stream */
  constructor(socket: Socket, first: Buffer) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('timeout', () => this.emit('timeout'));
    socket.once('end', () => this.push(null));
    socket.once('error', (error) => this.destroy(error));
    socket.once('close', () => this.destroy());
    this.push(first);
  }

  /** Bytes of a read, valid only now. False: no more until they were consumed. */
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

  /** Ends the connection in a way that nobody can take for a complete answer. */
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
