/** Knows from its identifier whether a stream has existed on a connection (RFC 9113 section 5.1.1). */
export class StreamNumbers {
  /** The highest identifier so far. */
  last = 0;
  /** The bounds of the newest gap between two identifiers: those inside were never used and never will be. */
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

  /** True for a stream that was not opened yet, or never will be: even identifiers are reserved for the server. */
  isIdle(id: number): boolean {
    return id > this.last || (id !== 0 && (id & 1) === 0);
  }

  wasPassedOver(id: number): boolean {
    return id > this.#after && id < this.#before;
  }
}
