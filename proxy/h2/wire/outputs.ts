/** What the connections of a process share for writing: buffers, and the moment when all that was gathered goes out. */
import { mappedBuffer } from '../../mapped-buffer.ts';

/** Room for the body of one read of a target with its frames. */
export const OUTPUT_BYTES = 67_584;
/** Buffers in use at once, and kept. When there would be more, what was gathered goes out early. */
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

  /** Calls it at the end of this turn of the event loop, when all that is there to be read has been; or earlier. */
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
