/** The head of a request as it was sent, for the one time that it may be sent again. */
const EMPTY = Buffer.alloc(0);
/** Room for most, so that the next request of the connection needs no other. */
const LEAST_BYTES = 1_024;

export class KeptHead {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Valid until the next one is kept. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies it. */
  keep(head: Buffer): void {
    if (this.#bytes.length < head.length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(LEAST_BYTES, head.length));
    head.copy(this.#bytes);
    this.#length = head.length;
  }

  forget(): void {
    this.#length = 0;
  }
}
