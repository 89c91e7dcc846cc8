/**
 * A connection within the process, for engines that speak with each other in HTTP/1.1. It behaves as TCP does: a FIN is
 * the end of one direction, and a side that is destroyed before its FIN resets the other.
 */
import { Duplex } from 'node:stream';

/** What a side tells about its other end, as `net.Socket` does. */
interface Remote {
  readonly address: string;
  readonly secure: boolean;
}

export class MemorySocket extends Duplex {
  readonly remoteAddress: string;
  bytesRead = 0;
  bytesWritten = 0;
  #peer: MemorySocket | null = null;
  /** Confirms the peer's write once what it wrote is read. */
  #written: ((error?: Error) => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({ address, secure }: Remote) {
    super({ allowHalfOpen: true });
    this.remoteAddress = address;
    // As on a TLSSocket: there at all only when it is true.
    if (secure) Object.defineProperty(this, 'encrypted', { value: true });
  }

  /** Two ends. @param remote what the second end tells about the first */
  static pair(remote: Remote): [near: MemorySocket, far: MemorySocket] {
    const near = new MemorySocket({ address: '', secure: false });
    const far = new MemorySocket(remote);
    near.#peer = far;
    far.#peer = near;
    return [near, far];
  }

  /** As in `net.Socket`: `timeout` after so long without a byte. 0: never. */
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

  /** Destroys both ends; the other one with this error. */
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
    // The peer waits for a read that will not come.
    this.#written?.(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }));
    this.#written = null;
    if (peer && !peer.destroyed && !this.writableFinished) {
      const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
      // Not within the call that destroyed this side.
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
