/**
 * The output buffers that the connections of a process share, and the flush at the end of each turn of the event loop.
 */
import { mappedBuffer } from '../../mapped-buffer.ts';

/** Room for the body bytes of one read from a target, with their frame headers. */
export const OUTPUT_BYTES = 67_584;
/** Limit of buffers. When more would be needed, the gathered output is flushed early. */
export const MOST_BUFFERS = 64;

export class Outputs {
  readonly #free: Buffer[] = [];
  #used = 0;
  #waiting: (() => void)[] = [];

  take(): Buffer {
    if (this.#used >= MOST_BUFFERS) this.#run();
    this.#used += 1;
    return this.#free.pop() ?? mappedBuffer(OUTPUT_BYTES);
  }

  give(buffer: Buffer): void {
    this.#used -= 1;
    this.#free.push(buffer);
  }

  /** Calls `flush` at the end of this turn of the event loop, when everything readable has been read, or earlier. */
  atEnd(flush: () => void): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#run());
    this.#waiting.push(flush);
  }

  #run(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const flush of waiting) flush();
  }
}
