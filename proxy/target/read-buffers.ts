/**
 * The buffers that connections to targets read into. All connections share one. A long response to a client that keeps
 * up is read in larger pieces, since the cost of a read or write hardly depends on its size (1 GiB: two fifths less
 * CPU). While many clients are behind, so that the last read of each must be kept, the pieces are smaller.
 */
import { mappedBuffer } from '../mapped-buffer.ts';

/** Room before the bytes read, so that a head can grow in place (`Connection: close`). */
export const HEADROOM = 64;
/** Bytes of one read: enough for a response of 64 KiB with its head. */
const SMALL_BYTES = 69_632;
const LARGE_BYTES = 524_288;
/** Consecutive reads that fill the small buffer before a response counts as long. */
const FULL_READS = 8;
/** Connections that may read large pieces: each may leave one of them waiting for a client that stops reading. */
const MAX_LARGE = 32;
/**
 * When more connections than this wait for their clients, all read pieces of `TIGHT_BYTES`, which are cheap to keep.
 */
const MANY_WAITING = 256;
const TIGHT_BYTES = 16_384;

export class ReadBuffers {
  readonly #small = bufferFor(SMALL_BYTES);
  readonly #tight = bufferFor(TIGHT_BYTES);
  readonly #large = bufferFor(LARGE_BYTES);
  #lent = 0;
  /** Number of connections whose client is behind with the last read. */
  waiting = 0;

  /** The buffer for connections without a large one. */
  get usual(): Buffer {
    return this.waiting > MANY_WAITING ? this.#tight : this.#small;
  }

  /** The large buffer, to be returned by {@link ReadBuffers.giveBack}; null when the maximum of connections uses it. */
  borrow(): Buffer | null {
    if (this.#lent === MAX_LARGE) return null;
    this.#lent += 1;
    return this.#large;
  }

  giveBack(): void {
    this.#lent -= 1;
  }
}

/** Allocates {@link HEADROOM}, the bytes of a read, and one octet to mark their end. */
function bufferFor(bytes: number): Buffer {
  return mappedBuffer(HEADROOM + bytes + 1);
}

/** Chooses the buffer that a connection reads into. */
export class Reads {
  readonly #buffers: ReadBuffers;
  /** The buffer of the last read; null before the first. */
  #current: Buffer | null = null;
  /** The buffer for the next reads in place of the usual one. */
  #large: Buffer | null = null;
  #hasBorrowed = false;
  #isWaiting = false;
  /** Consecutive reads that filled the usual buffer. */
  #full = 0;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
  }

  /** The buffer of the last read: the bytes start at {@link HEADROOM}, and one more octet fits behind them. */
  get bytes(): Buffer {
    return this.#current ?? this.#buffers.usual;
  }

  /** For `onread`: called before the first read and after each one. Null: the same buffer as before. */
  take(): Buffer | null {
    const next = this.#large ?? this.#buffers.usual;
    if (next === this.#current) return null;
    this.#current = next;
    return next.subarray(HEADROOM, -1);
  }

  /**
   * A read of a body was forwarded, and the client has taken all of it.
   * @param length of the read, bytes
   * @param left bytes still to come, so that the last piece is never a large one: it could wait after the response is
   *   over
   */
  passed(length: number, left: number): void {
    if (left <= LARGE_BYTES) this.release();
    else if (!this.#hasBorrowed && length >= SMALL_BYTES) this.#grow();
  }

  /** The client is behind: no large pieces until {@link Reads.release}, when it has taken what waits. */
  shrink(): void {
    if (!this.#isWaiting) this.#buffers.waiting += 1;
    this.#isWaiting = true;
    this.#full = 0;
    this.#large = null;
  }

  /** The client has taken everything read, or never will. */
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
