/** Which streams of a connection were there, by their numbers (RFC 9113 section 5.1.1). */
export class StreamNumbers {
  /** The newest one. */
  last = 0;
  /** The newest gap between two streams: what is in it was never used and never will be. */
  #after = 0;
  #before = 0;

  /** @param id larger than {@link StreamNumbers.last} */
  open(id: number): void {
    if (id > this.last + 2) {
      this.#after = this.last;
      this.#before = id;
    }
    this.last = id;
  }

  /** It may be used yet, or never will: those with an even number would be ours. */
  isIdle(id: number): boolean {
    return id > this.last || (id !== 0 && (id & 1) === 0);
  }

  wasPassedOver(id: number): boolean {
    return id > this.#after && id < this.#before;
  }
}
