/** A field block that comes in HEADERS and CONTINUATION frames (RFC 9113 section 4.3), bounded (CVE-2024-27316). */
import { CODE, ConnectionError } from './codes.ts';

/** Frames of one block. Four of the usual size make a block that is larger than any we take. */
const MAX_FRAMES = 64;

export class BlockParts {
  readonly stream: number;
  readonly isLast: boolean;
  readonly #maxBytes: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  /** @param isLast the request ends with it */
  constructor(stream: number, isLast: boolean, maxBytes: number) {
    this.stream = stream;
    this.isLast = isLast;
    this.#maxBytes = maxBytes;
  }

  /** @throws ConnectionError when it becomes too much: without the whole block HPACK cannot go on */
  add(bytes: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#bytes > this.#maxBytes || this.#parts.length > MAX_FRAMES) {
      throw new ConnectionError(CODE.enhanceYourCalm, 'a field block without end');
    }
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
