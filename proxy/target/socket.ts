/**
 * A connection to a target that can be read to its end after a write failed. An app may answer an upload and close
 * before it has read all of it; then our next write fails while the response is in the receive buffer. Node would
 * destroy the connection, and the response with it. This class drops the rest of the request and reads on to the end,
 * which is near: nothing more can arrive.
 */
import { Socket } from 'node:net';

type Written = (error?: Error | null) => void;

/** Write errors that mean that the other side reads no more. */
const LOST = new Set(['EPIPE', 'ECONNRESET']);

export class TargetSocket extends Socket {
  /** False: a failed write destroys the connection, as in node. */
  isHeardOut = false;
  #lost: NodeJS.ErrnoException | null = null;

  /** True once a write has failed: everything written since is dropped. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** Handles a failed write. @returns true when reading continues */
  lose(error: NodeJS.ErrnoException): boolean {
    if (!this.isHeardOut || this.destroyed || !LOST.has(error.code ?? '')) return false;
    this.#lost ??= error;
    return true;
  }

  override _write(bytes: unknown, encoding: BufferEncoding, written: Written): void {
    if (this.#lost === null) super._write(bytes, encoding, (error) => this.#written(error, written));
    else written();
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], written: Written): void {
    if (this.#lost === null) super._writev?.(chunks, (error) => this.#written(error, written));
    else written();
  }

  /**
   * The kernel reports a reset only once. If the write got it, the read would see a plain end of file, as if the app
   * had ended its response there.
   */
  override push(bytes: unknown, encoding?: BufferEncoding): boolean {
    if (bytes !== null || this.#lost?.code !== 'ECONNRESET') return super.push(bytes, encoding);
    this.destroy(this.#lost);
    return false;
  }

  #written(error: NodeJS.ErrnoException | null | undefined, written: Written): void {
    if (error && this.lose(error)) written();
    else written(error);
  }
}
