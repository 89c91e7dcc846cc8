/**
 * The streams that we reset most recently. Frames for them may still arrive without an error (RFC 9113 section 5.1).
 */

const KEPT = 512;

export class ResetStreams {
  readonly #ids = new Set<number>();

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= KEPT) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }
}
