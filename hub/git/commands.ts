/** What a push asks for before its objects: pkt-lines up to a flush (gitprotocol-pack(5)), which git keeps in memory. */

/** Some ten thousand branches and tags: git itself does not send more at once without its http.postBuffer set. */
export const MOST_COMMAND_BYTES = 1_048_576;
/** Four digits, which count themselves (gitprotocol-common(5)). */
const LENGTH_DIGITS = 4;

export class Commands {
  #digits = '';
  /** Of the line that is being read. */
  #left = 0;
  #bytes = 0;
  #isOver = false;

  /** Follows the body of a push, chunk by chunk. False when there are too many. */
  see(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length && !this.#isOver)
      at += this.#left > 0 ? this.#pass(chunk, at) : this.#readLength(chunk, at);
    this.#bytes += at;
    return this.#bytes <= MOST_COMMAND_BYTES;
  }

  #pass(chunk: Buffer, at: number): number {
    const passed = Math.min(this.#left, chunk.length - at);
    this.#left -= passed;
    return passed;
  }

  #readLength(chunk: Buffer, at: number): number {
    const read = chunk.toString('latin1', at, at + LENGTH_DIGITS - this.#digits.length);
    this.#digits += read;
    if (this.#digits.length === LENGTH_DIGITS) {
      const length = /^[0-9a-f]{4}$/i.test(this.#digits) ? Number.parseInt(this.#digits, 16) : 0;
      // What is no length at all git refuses itself.
      this.#isOver = length === 0;
      this.#left = Math.max(0, length - LENGTH_DIGITS);
      this.#digits = '';
    }
    return read.length;
  }
}
