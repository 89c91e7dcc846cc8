/** What a push asks for before its objects: pkt-lines up to a flush (gitprotocol-pack(5)), which git keeps in memory. */

/** Some ten thousand branches and tags: git itself does not send more at once without its http.postBuffer set. */
export const MOST_COMMAND_BYTES = 1_048_576;
/** What tells of a line whether it deletes: two commits, of which the second is none. */
const DELETES = /^[0-9a-f]{40} 0{40} /;
const COMMITS_LENGTH = 82;
/** Four digits, which count themselves (gitprotocol-common(5)). */
const LENGTH_DIGITS = 4;

export class Commands {
  #digits = '';
  /** Of the line that is being read. */
  #left = 0;
  #bytes = 0;
  #isOver = false;
  /** The beginning of the line that is being read. */
  #start = '';
  #deletesOnly = true;

  /** Whether all have come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether none so far brings anything. */
  get deletesOnly(): boolean {
    return this.#deletesOnly;
  }

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
    this.#start += chunk.toString('latin1', at, at + Math.min(passed, COMMITS_LENGTH - this.#start.length));
    if (this.#left === 0) {
      this.#deletesOnly &&= DELETES.test(this.#start);
      this.#start = '';
    }
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
