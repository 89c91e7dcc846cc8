/**
 * The chunked transfer coding (RFC 9112 section 7.1): an encoder, and a scanner that accepts any split of the bytes.
 * Two parsers must never disagree on where a body ends, so the scanner is strict.
 */
import { CR, HEX, LF, SEMICOLON } from './bytes.ts';
import { ChunkExtension } from './chunk-extension.ts';
import { fieldLines } from './field-list.ts';

/** Limit of the hexadecimal digits of a chunk size: chunks are smaller than 4 GiB. */
const MAX_DIGITS = 8;

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'end' | 'bad';

const CRLF = Buffer.from('\r\n', 'latin1');
const LAST_CHUNK = Buffer.from('0\r\n\r\n', 'latin1');

/** Encodes one chunk. */
export function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, CRLF]);
}

/** Encodes the last chunk and the trailer section. @param trailers alternating names and values */
export function lastChunk(trailers: readonly string[]): Buffer {
  return trailers.length === 0 ? LAST_CHUNK : Buffer.from(`0\r\n${fieldLines(trailers)}\r\n`, 'latin1');
}

export class ChunkScanner {
  /** `end`: after the line of the last chunk, where the trailers begin. `bad`: the body is not validly chunked. */
  state: State = 'size';
  /** The range of body data that the last {@link step} found. */
  dataStart = 0;
  dataEnd = 0;
  readonly #extension = new ChunkExtension();
  #digits = 0;
  #left = 0;

  /** True between two chunks. */
  get isBetween(): boolean {
    return this.state === 'size' && this.#digits === 0;
  }

  reset(): void {
    this.state = 'size';
    this.#digits = 0;
    this.#left = 0;
    this.#extension.reset();
  }

  /**
   * Scans from `position` to the end of one piece of data, of the body, or of the bytes.
   * @returns the offset after the scanned bytes; `dataStart` to `dataEnd` is the piece, empty when there was none
   */
  step(bytes: Uint8Array, position: number, end: number): number {
    this.dataStart = position;
    this.dataEnd = position;
    let cursor = position;
    while (cursor < end) {
      if (this.state === 'data') return this.#data(cursor, end);
      if (this.state === 'end' || this.state === 'bad') return cursor;
      this.state = this.#octet(bytes[cursor] as number);
      cursor += 1;
    }
    return cursor;
  }

  #data(cursor: number, end: number): number {
    const length = Math.min(this.#left, end - cursor);
    this.dataStart = cursor;
    this.dataEnd = cursor + length;
    this.#left -= length;
    if (this.#left === 0) this.state = 'data-cr';
    return cursor + length;
  }

  #octet(octet: number): State {
    switch (this.state) {
      case 'size':
        return this.#size(octet);
      case 'extension':
        return this.#extended(octet);
      case 'size-lf':
        return octet === LF ? this.#sized() : 'bad';
      case 'data-cr':
        return octet === CR ? 'data-lf' : 'bad';
      case 'data-lf':
        this.#digits = 0;
        return octet === LF ? 'size' : 'bad';
      case 'data':
      case 'end':
      case 'bad':
        break;
    }
    return 'bad';
  }

  #size(octet: number): State {
    const digit = HEX[octet] as number;
    if (digit < 16) {
      this.#digits += 1;
      this.#left = this.#left * 16 + digit;
      return this.#digits <= MAX_DIGITS ? 'size' : 'bad';
    }
    if (this.#digits === 0) return 'bad';
    if (octet === CR) return 'size-lf';
    if (octet !== SEMICOLON) return 'bad';
    this.#extension.begin();
    return 'extension';
  }

  #extended(octet: number): State {
    const read = this.#extension.read(octet);
    if (read === 'cr') return 'size-lf';
    return read === 'more' ? 'extension' : 'bad';
  }

  #sized(): State {
    return this.#left === 0 ? 'end' : 'data';
  }
}
