/** What the uploads of a connection may have under way, all together (RFC 9113 section 6.9). */
import { DEFAULT_WINDOW } from './wire/codes.ts';
import type { FrameOutput } from './wire/frame-output.ts';

/** Octets. The protocol's 64 KiB would let all of a client's uploads together have as much per round trip. */
const WINDOW = 1_048_576;
/** By how much the windows of its uploads may be larger than the protocol's, in all: what is held for apps that stop. */
const LENT = 1_048_576;

export class UploadWindow {
  /**
   * Octets of bodies that the client may be told that it may send again. What a connection holds is bounded by its streams, so
   * they are given back as they come, and its window is never used up.
   */
  #used = 0;
  #lendable = LENT;

  /** The first word about it. */
  open(output: FrameOutput): void {
    output.windowUpdate(0, WINDOW - DEFAULT_WINDOW);
  }

  /** @param octets of a frame, padding included */
  take(octets: number): void {
    this.#used += octets;
  }

  /** Lets the client send again what it has sent, when it is worth a frame. */
  giveBack(output: FrameOutput): void {
    if (this.#used < WINDOW / 2) return;
    output.windowUpdate(0, this.#used);
    this.#used = 0;
  }

  /** @returns octets by which the window of an upload may grow, at most so many */
  lend(most: number): number {
    const lent = Math.min(most, this.#lendable);
    this.#lendable -= lent;
    return lent;
  }

  /** An upload that had them is over. */
  takeBack(octets: number): void {
    this.#lendable += octets;
  }
}
