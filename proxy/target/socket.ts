/**
 * A connection to a target that can be heard out: an app may answer an upload and close before it has read all of it, and
 * then our next write fails while the answer waits in the receive buffer. Node would destroy the connection, and the answer
 * with it. Here the rest of the request is dropped, and reading goes on to the end, which is near: nothing more can come.
 */
import { Socket } from 'node:net';

type Written = (error?: Error | null) => void;

/** The other side takes no more. */
const LOST = new Set(['EPIPE', 'ECONNRESET']);

export class TargetSocket extends Socket {
  /** False: it ends with a write that fails, as connections of node do. */
  isHeardOut = false;
  #lost: NodeJS.ErrnoException | null = null;

  /** What is written goes nowhere, and something before it went nowhere either. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** A write failed. @returns true when reading goes on */
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

  /** The kernel tells of a reset once. It told the write, and the read would take it for an end that the app meant. */
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
