/** Bytes queued in one buffer for a slow writer: a body sent byte by byte would otherwise cost an object per byte. */
const EMPTY = Buffer.alloc(0);

export class Gathered {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Appends a copy of the bytes. */
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

  /** Removes and returns all bytes, in the order of their arrival. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return bytes;
  }
}
