/**
 * Bytes for a writer that is behind, as one piece: a client that sends its body in pieces of one byte would otherwise have an
 * object kept for each of them.
 */
const EMPTY = Buffer.alloc(0);

export class Gathered {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Copies them. */
  add(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.#length);
    this.#length = length;
  }

  /** All of them, in the order in which they came; then there are none. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return bytes;
  }
}
