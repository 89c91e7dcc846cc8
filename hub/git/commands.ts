/**
 * Parses the commands of a push, which precede its objects: pkt-lines up to a flush (gitprotocol-pack(5)). git keeps
 * them in memory.
 */

/** Some ten thousand branches and tags: git itself does not send more at once unless http.postBuffer is set. */
export const MAX_COMMAND_BYTES = 1_048_576;
/** Matches a line that deletes a ref: two object ids, the second one all zeros. */
const DELETES = /^[0-9a-f]{40} 0{40} /;
const COMMITS_LENGTH = 82;
/** Four hex digits; the length includes them (gitprotocol-common(5)). */
const LENGTH_DIGITS = 4;

export class Commands {
  #digits = '';
  /** Remaining bytes of the current line. */
  #left = 0;
  #bytes = 0;
  #isOver = false;
  /** The beginning of the current line. */
  #start = '';
  #deletesOnly = true;

  /** Whether all commands have arrived. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether all commands so far are deletions. */
  get deletesOnly(): boolean {
    return this.#deletesOnly;
  }

  /** Process the next chunk of the body. False when the commands exceed the limit. */
  see(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length && !this.#isOver)
      at += this.#left > 0 ? this.#pass(chunk, at) : this.#readLength(chunk, at);
    this.#bytes += at;
    return this.#bytes <= MAX_COMMAND_BYTES;
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
      // git itself rejects an invalid length.
      this.#isOver = length === 0;
      this.#left = Math.max(0, length - LENGTH_DIGITS);
      this.#digits = '';
    }
    return read.length;
  }
}
