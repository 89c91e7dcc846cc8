/**
 * Tracks the frame boundaries of a WebSocket (RFC 6455 section 5.2) as its bytes pass, however they are split. Payloads
 * are neither inspected nor kept.
 */

const OPCODE_CLOSE = 8;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

export class FrameTracker {
  /** Bytes of the frame header still to come after the first two. */
  #headLeft = 0;
  /** How many of those belong to the extended length; the rest is the mask. */
  #lengthLeft = 0;
  #length = 0;
  #payloadLeft = 0;
  /** 0: the next byte begins a frame. 1: its first byte was seen. 2: its first two. 3: its whole header. */
  #seen = 0;
  #isClose = false;

  /** True between two frames. */
  atBoundary = true;
  /** True once a Close frame has begun: its sender sends nothing after it. */
  closed = false;

  /**
   * Tracks the bytes from `start` to `end`.
   * @param stop true: stops at the end of the current frame
   * @returns the offset after the last byte tracked
   */
  take(bytes: Uint8Array, start: number, end: number, stop = false): number {
    let at = start;
    while (at < end) {
      if (stop && this.atBoundary) return at;
      if (this.#seen < 2) at = this.#begin(bytes, at);
      else if (this.#headLeft > 0) at = this.#lengthAndMask(bytes, at, end);
      else {
        const step = Math.min(this.#payloadLeft, end - at);
        this.#payloadLeft -= step;
        at += step;
        this.#settle();
      }
    }
    return at;
  }

  #begin(bytes: Uint8Array, at: number): number {
    const octet = bytes[at] as number;
    this.atBoundary = false;
    if (this.#seen === 0) {
      this.#isClose = (octet & 15) === OPCODE_CLOSE;
      this.#seen = 1;
      return at + 1;
    }
    const length = octet & 127;
    this.#lengthLeft = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0;
    this.#length = this.#lengthLeft === 0 ? length : 0;
    this.#headLeft = this.#lengthLeft + ((octet & 128) === 0 ? 0 : MASK_BYTES);
    this.#seen = 2;
    if (this.#isClose) this.closed = true;
    this.#settle();
    return at + 1;
  }

  #lengthAndMask(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (; at < end && this.#headLeft > 0; at += 1) {
      this.#headLeft -= 1;
      if (this.#lengthLeft === 0) continue;
      this.#lengthLeft -= 1;
      this.#length = this.#length * 256 + (bytes[at] as number);
    }
    this.#settle();
    return at;
  }

  /** Moves on to the payload when the header is complete, and to the next frame when the payload is. */
  #settle(): void {
    if (this.#headLeft > 0) return;
    if (this.#seen === 2) {
      this.#payloadLeft = this.#length;
      this.#seen = 3;
    }
    if (this.#payloadLeft > 0) return;
    this.#seen = 0;
    this.#length = 0;
    this.atBoundary = true;
  }
}
