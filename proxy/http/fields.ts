/**
 * Parses the field lines of a head in one pass, under a grammar stricter than RFC 9112 section 5: CRLF only, no
 * folding, token names, no space before the colon, no control character in a value. Any other head is rejected.
 */
import { COLON, CR, LF, SPACE, TAB, TOKEN, VALUE } from './bytes.ts';

/** Limit of fields in one head. */
const MAX_FIELDS = 100;
/** Returned in place of an offset: BAD when the bytes violate the grammar, MORE when they end too early. */
export const BAD = -1;
export const MORE = -2;
/** Numbers kept per field: start of the line, end of the name, start and end of the trimmed value. */
const SLOTS = 4;

export class Fields {
  count = 0;
  readonly #at = new Int32Array(MAX_FIELDS * SLOTS);

  /**
   * Parses lines up to and including the empty one.
   * @param bytes have a NUL at `end`: it is in no alphabet, so every loop stops there without a bounds check
   * @param position start of the first line
   * @returns the offset after the empty line, {@link BAD} or {@link MORE}
   */
  read(bytes: Uint8Array, position: number, end: number): number {
    let cursor = position;
    this.count = 0;
    while (bytes[cursor] !== CR) {
      cursor = this.#readLine(bytes, cursor, end);
      if (cursor < 0) return cursor;
    }
    if (cursor + 1 >= end) return MORE;
    return bytes[cursor + 1] === LF ? cursor + 2 : BAD;
  }

  /** @returns the offset after one line */
  #readLine(bytes: Uint8Array, line: number, end: number): number {
    let cursor = line;
    while (TOKEN[bytes[cursor] as number] === 1) cursor += 1;
    if (cursor === line || bytes[cursor] !== COLON) return cursor >= end ? MORE : BAD;
    if (this.count === MAX_FIELDS) return BAD;
    const at = this.#at;
    const slot = this.count * SLOTS;
    at[slot] = line;
    at[slot + 1] = cursor;
    cursor += 1;
    while (bytes[cursor] === SPACE || bytes[cursor] === TAB) cursor += 1;
    const valueStart = cursor;
    while (VALUE[bytes[cursor] as number] === 1) cursor += 1;
    // Either CR LF, or the NUL at the end of the bytes in place of one of the two.
    if (bytes[cursor] !== CR || bytes[cursor + 1] !== LF) return isCutOff(bytes, cursor, end) ? MORE : BAD;
    at[slot + 2] = valueStart;
    at[slot + 3] = trimmed(bytes, valueStart, cursor);
    this.count += 1;
    return cursor + 2;
  }

  /**
   * True when the line reads exactly `Name: value` or `Name:value`. Other white space is valid too, but servers differ
   * in how they treat it around a value that frames a message.
   */
  isPlain(bytes: Uint8Array, index: number): boolean {
    const gap = this.valueStart(index) - this.nameEnd(index) - 1;
    const isSpaced = gap === 0 || (gap === 1 && bytes[this.nameEnd(index) + 1] === SPACE);
    return isSpaced && bytes[this.valueEnd(index)] === CR;
  }

  /** Start of the line, and of the name. */
  line(index: number): number {
    return this.#at[index * SLOTS] as number;
  }

  nameEnd(index: number): number {
    return this.#at[index * SLOTS + 1] as number;
  }

  valueStart(index: number): number {
    return this.#at[index * SLOTS + 2] as number;
  }

  valueEnd(index: number): number {
    return this.#at[index * SLOTS + 3] as number;
  }

  /** The values of a field, joined by `, `, or undefined. @param name lower-case */
  named(bytes: Buffer, name: string): string | undefined {
    const values: string[] = [];
    for (let index = 0; index < this.count; index += 1) {
      const field = bytes.toString('latin1', this.line(index), this.nameEnd(index));
      if (field.toLowerCase() !== name) continue;
      values.push(bytes.toString('latin1', this.valueStart(index), this.valueEnd(index)));
    }
    return values.length > 0 ? values.join(', ') : undefined;
  }
}

/** True when the bytes end where CR LF was expected. */
function isCutOff(bytes: Uint8Array, cursor: number, end: number): boolean {
  return cursor >= end || (bytes[cursor] === CR && cursor + 1 >= end);
}

/** @returns the end of a value without trailing white space */
function trimmed(bytes: Uint8Array, start: number, end: number): number {
  let valueEnd = end;
  while (valueEnd > start && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd -= 1;
  return valueEnd;
}

/** The lines of a head that are not forwarded, as ascending byte ranges. Adjacent ranges are merged. */
export class Cuts {
  count = 0;
  readonly #at = new Int32Array(MAX_FIELDS * 2);

  clear(): void {
    this.count = 0;
  }

  add(start: number, end: number): void {
    const at = this.#at;
    if (this.count > 0 && at[this.count * 2 - 1] === start) {
      at[this.count * 2 - 1] = end;
      return;
    }
    at[this.count * 2] = start;
    at[this.count * 2 + 1] = end;
    this.count += 1;
  }

  start(index: number): number {
    return this.#at[index * 2] as number;
  }

  end(index: number): number {
    return this.#at[index * 2 + 1] as number;
  }
}
