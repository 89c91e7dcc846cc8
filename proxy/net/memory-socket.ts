/**
 * An in-process connection between engines that speak HTTP/1.1 with each other. It behaves like TCP: a FIN ends one
 * direction, and a side that is destroyed before its FIN resets the other.
 */
import { Duplex } from 'node:stream';

/** What a side reports about its peer, like `net.Socket`. */
interface Remote {
  readonly address: string;
  readonly secure: boolean;
}

export class MemorySocket extends Duplex {
  readonly remoteAddress: string;
  bytesRead = 0;
  bytesWritten = 0;
  #peer: MemorySocket | null = null;
  /** Completes the peer's write once its chunk is read. */
  #written: ((error?: Error) => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({ address, secure }: Remote) {
    super({ allowHalfOpen: true });
    this.remoteAddress = address;
    // As on a TLSSocket, the property exists only when it is true.
    if (secure) Object.defineProperty(this, 'encrypted', { value: true });
  }

  /** Makes a connected pair. @param remote what the second end reports about the first */
  static pair(remote: Remote): [near: MemorySocket, far: MemorySocket] {
    const near = new MemorySocket({ address: '', secure: false });
    const far = new MemorySocket(remote);
    near.#peer = far;
    far.#peer = near;
    return [near, far];
  }

  /** As in `net.Socket`: emits `timeout` after this time without a byte. 0: never. */
  setTimeout(ms: number, callback?: () => void): this {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (callback) {
      if (ms > 0) this.once('timeout', callback);
      else this.off('timeout', callback);
    }
    if (ms > 0 && !this.destroyed) this.#timer = setTimeout(() => this.emit('timeout'), ms).unref();
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Destroys both ends, the peer with this error. */
  breakWith(error: Error): void {
    const peer = this.#peer;
    this.destroy();
    peer?.destroy(error);
  }

  override _read(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#timer?.refresh();
    const peer = this.#peer;
    if (peer === null || peer.destroyed) {
      callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
      return;
    }
    this.bytesWritten += chunk.length;
    peer.#receive(chunk, callback);
  }

  override _final(callback: () => void): void {
    this.#peer?.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const peer = this.#peer;
    this.#peer = null;
    this.setTimeout(0);
    // The peer's write waits for a read that will never happen.
    this.#written?.(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
    this.#written = null;
    if (peer && !peer.destroyed && !this.writableFinished) {
      const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
      // Not synchronously in the call that destroyed this side.
      process.nextTick(() => peer.destroy(reset));
    }
    callback(error);
  }

  #receive(chunk: Buffer, written: (error?: Error) => void): void {
    this.#timer?.refresh();
    this.bytesRead += chunk.length;
    if (this.push(chunk)) written();
    else this.#written = written;
  }
}
