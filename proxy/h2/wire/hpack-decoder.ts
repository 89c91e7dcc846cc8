/** An HPACK decoder (RFC 7541). Each connection has its own; its table is bounded by the size that we announce. */
import { Field } from '../field.ts';
import { CODE, ConnectionError } from './codes.ts';
import { decodeHuffman } from './huffman.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** The table size that we announce (SETTINGS_HEADER_TABLE_SIZE), bytes: the protocol's default. */
const TABLE_BYTES = 4_096;
/** The most entries that fit, as each counts for at least 32 bytes. A power of two, for the ring. */
const TABLE_ENTRIES = TABLE_BYTES / 32;
/** Larger integers have no use in a field block. */
const MAX_NUMBER = 2 ** 24;

const NOTHING = Buffer.alloc(0);

const STATIC: readonly Field[] = STATIC_FIELDS.map(([name, value]) => new Field(name, value));

/** The fields of a decoded block. The list is reused for the next block, so fields to keep must be taken out of it. */
export class FieldList {
  readonly #maxBytes: number;
  readonly #fields: Field[] = [];
  #text = Buffer.alloc(0);
  /** Number of fields. */
  count = 0;
  /** Size of all fields as HPACK counts them, including those that were not kept. */
  bytes = 0;

  /** @param maxBytes of the list; fields beyond it are counted but not kept */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True when some fields were not kept. */
  get isTooLarge(): boolean {
    return this.bytes > this.#maxBytes;
  }

  at(index: number): Field {
    return this.#fields[index] as Field;
  }

  /** The values of a field joined by `, `, as in one HTTP/1.1 line. @param name lower-case */
  valueOf(name: string): string | undefined {
    const values = this.#fields.slice(0, this.count).filter((field) => field.name === name);
    return values.length === 0 ? undefined : values.map(({ value }) => value).join(', ');
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** A scratch buffer for a string while it is decoded. */
  textOf(length: number): Buffer {
    if (this.#text.length < length) this.#text = Buffer.allocUnsafeSlow(length);
    return this.#text;
  }

  add(field: Field): void {
    this.bytes += field.size;
    if (this.bytes > this.#maxBytes) return;
    this.#fields[this.count] = field;
    this.count += 1;
  }
}

export class HpackDecoder {
  /** The dynamic table as a ring; the newest entry is at `#newest`. */
  readonly #table: Field[] = [];
  #newest = 0;
  #entries = 0;
  #tableBytes = 0;
  #maxTableBytes = TABLE_BYTES;
  #bytes: Buffer = NOTHING;
  #at = 0;
  #end = 0;

  /**
   * Decodes one whole block.
   * @throws ConnectionError COMPRESSION_ERROR
   */
  decode(bytes: Buffer, start: number, end: number, list: FieldList): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    list.clear();
    let isFirst = true;
    while (this.#at < end) {
      const octet = bytes[this.#at] as number;
      if (octet >= 0x80) list.add(this.#indexed(this.#number(7)));
      else if (octet >= 0x40) list.add(this.#keep(this.#literal(6, list)));
      else if (octet < 0x20) list.add(this.#literal(4, list));
      else if (isFirst) {
        this.#resize(this.#number(5));
        continue;
      } else throw bad('the size of the table changes within a block');
      isFirst = false;
    }
    // An idle connection must not keep a block alive.
    this.#bytes = NOTHING;
  }

  #indexed(index: number): Field {
    if (index < STATIC.length) {
      if (index === 0) throw bad('index 0');
      return STATIC[index] as Field;
    }
    const back = index - STATIC.length;
    if (back >= this.#entries) throw bad(`index ${index} is not in the table`);
    return this.#table[(this.#newest - back) & (TABLE_ENTRIES - 1)] as Field;
  }

  #literal(prefix: number, list: FieldList): Field {
    const index = this.#number(prefix);
    const name = index === 0 ? this.#text(list) : this.#indexed(index).name;
    return new Field(name, this.#text(list));
  }

  #keep(field: Field): Field {
    this.#evict(this.#maxTableBytes - field.size);
    // A field larger than the table empties it (RFC 7541 section 4.4).
    if (field.size > this.#maxTableBytes) return field;
    this.#newest = (this.#newest + 1) & (TABLE_ENTRIES - 1);
    this.#table[this.#newest] = field;
    this.#entries += 1;
    this.#tableBytes += field.size;
    return field;
  }

  #resize(size: number): void {
    if (size > TABLE_BYTES) throw bad(`a table of ${size} bytes`);
    this.#maxTableBytes = size;
    this.#evict(size);
  }

  #evict(size: number): void {
    while (this.#entries > 0 && this.#tableBytes > size) {
      const oldest = (this.#newest - this.#entries + 1) & (TABLE_ENTRIES - 1);
      this.#tableBytes -= (this.#table[oldest] as Field).size;
      this.#entries -= 1;
    }
  }

  /** Decodes an integer (RFC 7541 section 5.1). @param prefix number of its bits in the first octet */
  #number(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = this.#octet() & mask;
    if (value < mask) return value;
    for (let shift = 1; ; shift *= 128) {
      const octet = this.#octet();
      value += (octet & 127) * shift;
      // The check of `shift` stops an endless run of zeros.
      if (value > MAX_NUMBER || shift > MAX_NUMBER) throw bad('a number is too large');
      if (octet < 128) return value;
    }
  }

  /** Decodes a string literal (RFC 7541 section 5.2). */
  #text(list: FieldList): string {
    const isHuffman = this.#at < this.#end && (this.#bytes[this.#at] as number) >= 128;
    const length = this.#number(7);
    const start = this.#at;
    if (length > this.#end - start) throw bad('a text ends behind its block');
    this.#at = start + length;
    if (!isHuffman) return this.#bytes.toString('latin1', start, this.#at);
    // Decoded, a string is at most 8/5 as long.
    const text = list.textOf(length * 2);
    return text.toString('latin1', 0, decodeHuffman(this.#bytes, start, this.#at, text));
  }

  #octet(): number {
    if (this.#at >= this.#end) throw bad('a block ends too early');
    const octet = this.#bytes[this.#at] as number;
    this.#at += 1;
    return octet;
  }
}

const bad = (why: string): ConnectionError => new ConnectionError(CODE.compressionError, `HPACK: ${why}`);
