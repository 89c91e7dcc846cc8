/** What the connections of a process share for writing: buffers, and the moment when all that was gathered goes out. */

/** Room for the body of one read of a target with its frames. */
export const OUTPUT_BYTES = 67_584;
/** Buffers kept for the next turn. */
const KEPT = 64;

export class Outputs {
  readonly #free: Buffer[] = [];
  #waiting: (() => void)[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }

  /** Calls it at the end of this turn of the event loop, when all that is there to be read has been. */
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
