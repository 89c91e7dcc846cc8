/** Flow control for all uploads of a connection together (RFC 9113 section 6.9). */
import { DEFAULT_WINDOW } from './wire/codes.ts';
import type { FrameOutput } from './wire/frame-output.ts';

/**
 * Connection window, octets. With the protocol's default of 64 KiB, all uploads of a client together could send only
 * that much per round trip.
 */
const WINDOW = 1_048_576;
/** Octets by which all stream windows together may exceed the default: the buffers for apps that stop reading. */
const LENT = 1_048_576;

export class UploadWindow {
  /**
   * Octets received but not yet returned to the client by WINDOW_UPDATE. The stream windows already bound what a
   * connection buffers, so octets are returned as they arrive and the connection window is never exhausted.
   */
  #used = 0;
  #lendable = LENT;

  /** Announces the window. */
  open(output: FrameOutput): void {
    output.windowUpdate(0, WINDOW - DEFAULT_WINDOW);
  }

  /** @param octets of a DATA frame, padding included */
  take(octets: number): void {
    this.#used += octets;
  }

  /** Returns the received octets to the client once they are worth a frame. */
  giveBack(output: FrameOutput): void {
    if (this.#used < WINDOW / 2) return;
    output.windowUpdate(0, this.#used);
    this.#used = 0;
  }

  /** @returns the octets by which the window of a stream may grow, at most `most` */
  lend(most: number): number {
    const lent = Math.min(most, this.#lendable);
    this.#lendable -= lent;
    return lent;
  }

  /** Returns lent octets when their upload is over. */
  takeBack(octets: number): void {
    this.#lendable += octets;
  }
}
