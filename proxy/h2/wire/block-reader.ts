/**
 * Assembles field blocks from HEADERS and CONTINUATION frames (RFC 9113 sections 4.3 and 6.2), within bounds
 * (CVE-2024-27316).
 */
import { check, CODE, ConnectionError, FLAG } from './codes.ts';

/** Limit of frames per block. Four of the usual size already exceed the largest block that is accepted. */
const MAX_FRAMES = 64;
/** The priority fields of a HEADERS frame, which are skipped. */
const PRIORITY_BYTES = 5;

/** Receives complete blocks. The bytes are valid only during the call. */
export interface BlockSink {
  /** @param isLast the request ends with it */
  fieldBlock(stream: number, isLast: boolean, bytes: Buffer, start: number, end: number): void;
}

export class BlockReader {
  readonly #sink: BlockSink;
  readonly #maxBytes: number;
  #stream = 0;
  #isLast = false;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @param maxBytes of a block */
  constructor(sink: BlockSink, maxBytes: number) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** True in the middle of a block, when only its CONTINUATION may follow. */
  get isInside(): boolean {
    return this.#stream !== 0;
  }

  /** @throws ConnectionError */
  headers(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    let from = start;
    let to = end;
    if ((flags & FLAG.padded) !== 0) {
      check(from < to, CODE.frameSizeError, 'a padded frame without a payload');
      to -= bytes[from] as number;
      from += 1;
    }
    if ((flags & FLAG.priority) !== 0) from += PRIORITY_BYTES;
    check(from <= to, CODE.protocolError, 'more padding than payload');
    const isLast = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) {
      this.#sink.fieldBlock(stream, isLast, bytes, from, to);
      return;
    }
    this.#stream = stream;
    this.#isLast = isLast;
    this.#add(bytes, from, to);
  }

  /** @throws ConnectionError */
  continuation(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    check(this.isInside && stream === this.#stream, CODE.protocolError, 'CONTINUATION of nothing');
    this.#add(bytes, start, end);
    if ((flags & FLAG.endHeaders) === 0) return;
    const block = Buffer.concat(this.#parts);
    this.#stream = 0;
    this.#parts = [];
    this.#bytes = 0;
    this.#sink.fieldBlock(stream, this.#isLast, block, 0, block.length);
  }

  #add(bytes: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
    // A block cannot be skipped: HPACK state would be lost.
    if (this.#bytes <= this.#maxBytes && this.#parts.length <= MAX_FRAMES) return;
    throw new ConnectionError(CODE.enhanceYourCalm, 'a field block without end');
  }
}
