/**
 * What connections to targets read into. One buffer is shared by all; a long answer to a client that keeps up is read in
 * larger pieces, since what a read and a write cost hardly depends on their size (1 GiB: two fifths less CPU); and while
 * many clients are behind, so that the last read of each has to be kept, in smaller ones.
 */
import { mappedBuffer } from '../mapped-buffer.ts';

/** Room before what is read, so that a head can grow in place (`Connection: close`). */
export const HEADROOM = 64;
/** Bytes of one read: a response of 64 KiB with its head, so that it is one. */
const SMALL_BYTES = 69_632;
const LARGE_BYTES = 524_288;
/** Reads that fill the small buffer, one after the other, before an answer counts as long. */
const FULL_READS = 8;
/** Connections that may read large pieces: each can leave one behind with a client that stops reading. */
const MAX_LARGE = 32;
/** When more connections than that wait for their clients, all read pieces that are no burden to keep. */
const MANY_WAITING = 256;
const TIGHT_BYTES = 16_384;

export class ReadBuffers {
  readonly #small = bufferFor(SMALL_BYTES);
  readonly #tight = bufferFor(TIGHT_BYTES);
  readonly #large = bufferFor(LARGE_BYTES);
  #lent = 0;
  /** Connections whose client is behind with what was read last. */
  waiting = 0;

  /** What is read into unless there is a reason for more. */
  get usual(): Buffer {
    return this.waiting > MANY_WAITING ? this.#tight : this.#small;
  }

  /** The large one, or null when as many as may have it do. {@link ReadBuffers.giveBack} is due then. */
  borrow(): Buffer | null {
    if (this.#lent === MAX_LARGE) return null;
    this.#lent += 1;
    return this.#large;
  }

  giveBack(): void {
    this.#lent -= 1;
  }
}

/** {@link HEADROOM}, what a read fills, and one octet to mark its end. */
function bufferFor(bytes: number): Buffer {
  return mappedBuffer(HEADROOM + bytes + 1);
}

/** Which buffer a connection reads into. */
export class Reads {
  readonly #buffers: ReadBuffers;
  /** What the last read has filled; null before the first. */
  #current: Buffer | null = null;
  /** What the next reads are to fill in place of the usual. */
  #large: Buffer | null = null;
  #hasBorrowed = false;
  #isWaiting = false;
  /** Usual reads that were filled, one after the other. */
  #full = 0;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
  }

  /** What the last read has filled, from {@link HEADROOM} on, with room for one octet more. */
  get bytes(): Buffer {
    return this.#current ?? this.#buffers.usual;
  }

  /** For `onread`: asked before the first read, and after each one. Null: the same as before. */
  take(): Buffer | null {
    const next = this.#large ?? this.#buffers.usual;
    if (next === this.#current) return null;
    this.#current = next;
    return next.subarray(HEADROOM, -1);
  }

  /**
   * A read of a body was passed on, and the client has taken all of it.
   * @param length its bytes
   * @param left what is still to come, so that no large piece is the last one: that could wait after the answer is over
   */
  passed(length: number, left: number): void {
    if (left <= LARGE_BYTES) this.release();
    else if (!this.#hasBorrowed && length >= SMALL_BYTES) this.#grow();
  }

  /** The client is behind. No large pieces until {@link Reads.release}, which is when it has taken what waits. */
  shrink(): void {
    if (!this.#isWaiting) this.#buffers.waiting += 1;
    this.#isWaiting = true;
    this.#full = 0;
    this.#large = null;
  }

  /** Nothing of what was read waits any more, or never will. */
  release(): void {
    if (this.#isWaiting) this.#buffers.waiting -= 1;
    if (this.#hasBorrowed) this.#buffers.giveBack();
    this.#isWaiting = false;
    this.#hasBorrowed = false;
    this.#full = 0;
    this.#large = null;
  }

  #grow(): void {
    this.#full += 1;
    if (this.#full < FULL_READS) return;
    this.#large = this.#buffers.borrow();
    this.#hasBorrowed = this.#large !== null;
  }
}
