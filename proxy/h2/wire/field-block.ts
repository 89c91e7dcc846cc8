/**
 * A stateless HPACK encoder (RFC 7541): names by their index in the static table, values as they are. It neither
 * indexes nor compresses, which costs some bytes on the wire, but saves a table per connection and the search in it.
 */
import { ascii, isText } from '../../http/bytes.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** A literal without indexing, and one that no intermediary may index (RFC 7541 section 6.2). */
const LITERAL = 0x00;
const NEVER_INDEXED = 0x10;
/** Names whose values are secrets. */
const SECRET = new Set(['set-cookie', 'authorization', 'proxy-authorization', 'cookie']);
const STATUS_NAME = 8;
/** The most octets of a field beside name and value: the first octet, and both lengths. */
const MOST_BESIDE = 12;
const INITIAL_BYTES = 16_384;

interface StaticName {
  readonly text: Uint8Array;
  readonly index: number;
  readonly first: number;
}

/** Names by a cheap hash: of the length, the first and the last octet. */
const BY_HASH: readonly (readonly StaticName[])[] = namesByHash();
const BY_NAME: ReadonlyMap<string, StaticName> = new Map(
  BY_HASH.flat().map((name) => [Buffer.from(name.text).toString('latin1'), name]),
);
/** Index of the static `:status` field by status (RFC 7541 appendix A); 0: there is none. */
const STATUSES = new Uint8Array(600);
for (const [index, [name, value]] of STATIC_FIELDS.entries()) {
  if (name === ':status') STATUSES[Number(value)] = index;
}

/** A field block. It is reused: its content must be written into frames before the next block begins. */
export class FieldBlock {
  bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  length = 0;

  clear(): this {
    this.length = 0;
    return this;
  }

  /** Begins the block of a response with `:status`. @param status 100 to 599 */
  begin(status: number): this {
    const index = STATUSES[status] as number;
    this.length = 0;
    if (index > 0) this.bytes[this.length++] = 0x80 | index;
    else {
      this.bytes[this.length++] = STATUS_NAME;
      this.#text(String(status));
    }
    return this;
  }

  /** Adds a field of an HTTP/1.1 head, with its name in lower case. */
  addBytes(from: Uint8Array, name: number, nameEnd: number, value: number, valueEnd: number): void {
    this.#reserve(nameEnd - name + valueEnd - value);
    const known = nameIn(from, name, nameEnd);
    if (known === null) {
      this.bytes[this.length++] = LITERAL;
      this.#number(0, 0x7f, nameEnd - name);
      this.#lower(from, name, nameEnd);
    } else this.#number(known.first, 0x0f, known.index);
    this.#number(0, 0x7f, valueEnd - value);
    this.#copy(from, value, valueEnd);
  }

  /** @param name lower-case */
  add(name: string, value: string): this {
    this.#reserve(name.length + value.length);
    const known = BY_NAME.get(name);
    if (known === undefined) {
      this.bytes[this.length++] = LITERAL;
      this.#text(name);
    } else this.#number(known.first, 0x0f, known.index);
    this.#text(value);
    return this;
  }

  /** @param fields lower-case names and values, alternating */
  addAll(fields: readonly string[]): this {
    for (let index = 0; index + 1 < fields.length; index += 2) {
      this.add(fields[index] as string, fields[index + 1] as string);
    }
    return this;
  }

  #text(text: string): void {
    this.#number(0, 0x7f, text.length);
    this.length += this.bytes.write(text, this.length, 'latin1');
  }

  /** Encodes an integer (RFC 7541 section 5.1). @param first the bits in front of the prefix */
  #number(first: number, mask: number, value: number): void {
    const { bytes } = this;
    if (value < mask) {
      bytes[this.length++] = first | value;
      return;
    }
    bytes[this.length++] = first | mask;
    let rest = value - mask;
    for (; rest >= 128; rest >>= 7) bytes[this.length++] = (rest & 127) | 128;
    bytes[this.length++] = rest;
  }

  /** A loop, since most values are so short that a call of `copy` would cost more. */
  #copy(from: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < end; index += 1) bytes[at++] = from[index] as number;
    this.length = at;
  }

  #lower(from: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < end; index += 1) {
      const octet = from[index] as number;
      bytes[at++] = octet >= 65 && octet <= 90 ? octet | 32 : octet;
    }
    this.length = at;
  }

  #reserve(length: number): void {
    const needed = this.length + length + MOST_BESIDE;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(needed * 2);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}

function hash(length: number, first: number, last: number): number {
  return (length * 7 + first * 3 + last) & 0xff;
}

function nameIn(bytes: Uint8Array, start: number, end: number): StaticName | null {
  // The grammar of heads excludes empty names.
  const slot = hash(end - start, (bytes[start] as number) | 32, (bytes[end - 1] as number) | 32);
  for (const name of BY_HASH[slot] as readonly StaticName[]) if (isText(bytes, start, end, name.text)) return name;
  return null;
}

function namesByHash(): StaticName[][] {
  const slots: StaticName[][] = Array.from({ length: 256 }, () => []);
  for (const [index, [name]] of STATIC_FIELDS.entries()) {
    if (name === '' || name.startsWith(':') || name === STATIC_FIELDS[index - 1]?.[0]) continue;
    const text = ascii(name);
    const first = SECRET.has(name) ? NEVER_INDEXED : LITERAL;
    slots[hash(text.length, text[0] as number, text.at(-1) as number)]?.push({ text, index, first });
  }
  return slots;
}
