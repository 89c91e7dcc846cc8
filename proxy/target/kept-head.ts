/** The head of a request as it was sent, kept for its one retry. */
const EMPTY = Buffer.alloc(0);
/** Enough for most heads, so that the buffer can be reused by the connection's next request. */
const LEAST_BYTES = 1_024;

export class KeptHead {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Valid until the next {@link KeptHead.keep}. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps a copy of the head. */
  keep(head: Buffer): void {
    if (this.#bytes.length < head.length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(LEAST_BYTES, head.length));
    head.copy(this.#bytes);
    this.#length = head.length;
  }

  forget(): void {
    this.#length = 0;
  }
}
