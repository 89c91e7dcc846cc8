/**
 * The chunked coding (RFC 9112 section 7.1), written, and read from bytes however they are split. Where the body ends must
 * never be a matter of opinion.
 */
import { CR, HEX, LF, SEMICOLON } from './bytes.ts';
import { ChunkExtension } from './chunk-extension.ts';
import { fieldLines } from './field-list.ts';

/** Hexadecimal digits of a chunk size: up to 4 GiB. */
const MAX_DIGITS = 8;

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'end' | 'bad';

const CRLF = Buffer.from('\r\n', 'latin1');
const LAST_CHUNK = Buffer.from('0\r\n\r\n', 'latin1');

/** One chunk. */
export function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, CRLF]);
}

/** What stands behind the last one. @param trailers names and values in turn */
export function lastChunk(trailers: readonly string[]): Buffer {
  return trailers.length === 0 ? LAST_CHUNK : Buffer.from(`0\r\n${fieldLines(trailers)}\r\n`, 'latin1');
}

export class ChunkScanner {
  /** `end`: after the line of the last chunk, where the trailers begin. `bad`: this is no chunked body. */
  state: State = 'size';
  /** What the last {@link step} found of the body itself. */
  dataStart = 0;
  dataEnd = 0;
  readonly #extension = new ChunkExtension();
  #digits = 0;
  #left = 0;

  /** True before the first octet of a chunk. */
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
   * Reads on from `position`, up to the end of one piece of data, or of the body, or of the bytes.
   * @returns the offset after what it read; `dataStart` to `dataEnd` is the piece, empty when there was none
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
