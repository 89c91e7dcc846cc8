/** Field blocks out of HPACK (RFC 7541). A decoder belongs to a connection; its table is bounded by what we announce. */
import { Field } from '../field.ts';
import { CODE, ConnectionError } from './codes.ts';
import { decodeHuffman } from './huffman.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** What we announce (SETTINGS_HEADER_TABLE_SIZE), bytes: the protocol's default. */
const TABLE_BYTES = 4_096;
/** Entries that fit: each counts for 32 bytes at least. A power of two, for the ring. */
const TABLE_ENTRIES = TABLE_BYTES / 32;
/** Larger numbers than this mean nothing in a field block. */
const MAX_NUMBER = 2 ** 24;

const NOTHING = Buffer.alloc(0);

const STATIC: readonly Field[] = STATIC_FIELDS.map(([name, value]) => new Field(name, value));

/** Where a block is decoded to. It is used again for the next block: who keeps fields takes them out of it. */
export class FieldList {
  readonly #maxBytes: number;
  readonly #fields: Field[] = [];
  #text = Buffer.alloc(0);
  /** Fields that are there. */
  count = 0;
  /** Of all fields as HPACK counts them, also of those that were not kept. */
  bytes = 0;

  /** @param maxBytes of a list. Fields beyond it are counted, not kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** There were more. */
  get isTooLarge(): boolean {
    return this.bytes > this.#maxBytes;
  }

  at(index: number): Field {
    return this.#fields[index] as Field;
  }

  /** All values of a field, as one line of HTTP/1.1 would have them. @param name lower-case */
  valueOf(name: string): string | undefined {
    const values = this.#fields.slice(0, this.count).filter((field) => field.name === name);
    return values.length === 0 ? undefined : values.map(({ value }) => value).join(', ');
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** A place for a text while it is decoded. */
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
  /** A ring; the newest entry is at `#newest`. */
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
    // A connection at rest keeps no block.
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
    // One that is larger than the table leaves it empty (RFC 7541 section 4.4).
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

  /** RFC 7541 section 5.1. @param prefix bits of the first octet */
  #number(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = this.#octet() & mask;
    if (value < mask) return value;
    for (let shift = 1; ; shift *= 128) {
      const octet = this.#octet();
      value += (octet & 127) * shift;
      // The second part: zeros without end.
      if (value > MAX_NUMBER || shift > MAX_NUMBER) throw bad('a number is too large');
      if (octet < 128) return value;
    }
  }

  /** RFC 7541 section 5.2. */
  #text(list: FieldList): string {
    const isHuffman = this.#at < this.#end && (this.#bytes[this.#at] as number) >= 128;
    const length = this.#number(7);
    const start = this.#at;
    if (length > this.#end - start) throw bad('a text ends behind its block');
    this.#at = start + length;
    if (!isHuffman) return this.#bytes.toString('latin1', start, this.#at);
    // Out of the Huffman code it is at most 8/5 as long.
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
