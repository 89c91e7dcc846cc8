/** Field blocks out of HEADERS and CONTINUATION frames (RFC 9113 sections 4.3 and 6.2), bounded (CVE-2024-27316). */
import { check, CODE, ConnectionError, FLAG } from './codes.ts';

/** Frames of one block. Four of the usual size make a block that is larger than any we take. */
const MAX_FRAMES = 64;
/** What a frame says of the priority of its stream: passed over. */
const PRIORITY_BYTES = 5;

/** Who is given whole blocks. Bytes are valid during the call only. */
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

  /** In the middle of a block: nothing but its CONTINUATION may come. */
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
    // Without the whole of it HPACK cannot go on.
    if (this.#bytes <= this.#maxBytes && this.#parts.length <= MAX_FRAMES) return;
    throw new ConnectionError(CODE.enhanceYourCalm, 'a field block without end');
  }
}
