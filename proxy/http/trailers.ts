/** Collects the trailer section after the last chunk (RFC 9112 section 7.1.2), however its bytes are split. */
import { CR, LF } from './bytes.ts';
import { BAD, Fields, MORE } from './fields.ts';
import { passedTrailers } from './headers.ts';

/** Limit of a trailer section, bytes. */
const MAX_BYTES = 8_192;
const EMPTY = Buffer.alloc(0);

/** Framing fields are not allowed once the body has ended. */
const FRAMING = /^(?:content-length|transfer-encoding)$/i;

/** `bad`: not valid trailers, or too many bytes. */
type TrailerState = 'more' | 'done' | 'bad';

export class Trailers {
  #kept = EMPTY;
  /** The trailers that may be forwarded, as alternating names and values. */
  passed: readonly string[] = [];
  /** Once done: the offset after the section in the bytes of the last {@link read}. */
  end = 0;

  reset(): void {
    this.#kept = EMPTY;
    this.passed = [];
  }

  read(bytes: Uint8Array, start: number, end: number): TrailerState {
    // There is hardly ever a trailer.
    if (this.#kept.length === 0 && bytes[start] === CR && start + 1 < end) {
      this.end = start + 2;
      return bytes[start + 1] === LF ? 'done' : 'bad';
    }
    const before = this.#kept.length;
    // With the NUL that `Fields.read` needs.
    const all = Buffer.concat([this.#kept, bytes.subarray(start, end), Buffer.alloc(1)]);
    const lines = new Fields();
    const after = lines.read(all, 0, all.length - 1);
    if (after === BAD || (after === MORE && all.length > MAX_BYTES)) return 'bad';
    if (after === MORE) {
      this.#kept = all.subarray(0, -1);
      return 'more';
    }
    const fields = rawFields(all, lines);
    if (fields.some((name, index) => index % 2 === 0 && FRAMING.test(name))) return 'bad';
    this.passed = passedTrailers(fields).flat();
    this.end = start + after - before;
    return 'done';
  }
}

/** Alternating names and values, like node's `rawHeaders`. */
export function rawFields(bytes: Buffer, fields: Fields): string[] {
  return Array.from({ length: fields.count }, (_, index) => [
    bytes.toString('latin1', fields.line(index), fields.nameEnd(index)),
    bytes.toString('latin1', fields.valueStart(index), fields.valueEnd(index)),
  ]).flat();
}
