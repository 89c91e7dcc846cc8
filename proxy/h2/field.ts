/**
 * One field of a request, classified when it is made (RFC 9113 sections 8.2 and 8.3). A field in the HPACK table is
 * made once and shared by many requests.
 */
import { isClients } from '../http/headers.ts';

/** Pseudo-header fields of requests (RFC 9113 section 8.3.1, RFC 8441 section 4). */
export type Pseudo = 'method' | 'scheme' | 'authority' | 'path' | 'protocol';

/**
 * The role of a regular field in a request. `plain`: end-to-end between client and app. `malformed`: makes the request
 * malformed, like anything that violates the field grammar (RFC 9113 section 8.2.1); skipping the field would hide it
 * from the app. `padded`: its value has white space at an end, which is malformed too, but a mistake that the client
 * gets an error page for.
 */
type Kind = 'cookie' | 'host' | 'content-length' | 'content-type' | 'te' | 'expect' | 'plain' | 'padded' | 'malformed';

const PSEUDO: ReadonlyMap<string, Pseudo> = new Map([
  [':method', 'method'],
  [':scheme', 'scheme'],
  [':authority', 'authority'],
  [':path', 'path'],
  [':protocol', 'protocol'],
]);
const KNOWN: ReadonlyMap<string, Kind> = new Map([
  ['cookie', 'cookie'],
  ['host', 'host'],
  ['content-length', 'content-length'],
  ['content-type', 'content-type'],
  ['te', 'te'],
  ['expect', 'expect'],
  // RFC 9113 section 8.2.2.
  ['connection', 'malformed'],
  ['keep-alive', 'malformed'],
  ['proxy-connection', 'malformed'],
  ['transfer-encoding', 'malformed'],
  ['upgrade', 'malformed'],
]);

/** A token without upper-case letters (RFC 9113 section 8.2). */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/**
 * No control character but the tab (RFC 9110 section 5.5), and no white space at either end (RFC 9113 section 8.2.1).
 */
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*$(?<![\t ])/;
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
const LENGTH = /^\d{1,15}$/;
/** The overhead per field that HPACK adds to name and value (RFC 7541 section 4.1), bytes. */
const OVERHEAD = 32;

export class Field {
  /** Size as HPACK counts it, bytes. */
  readonly size: number;
  readonly name: string;
  readonly value: string;
  /** Null: a regular field. */
  readonly pseudo: Pseudo | null;
  /** The role of the field where only regular fields are allowed. */
  readonly kind: Kind;
  #line: string | null = null;

  /** @param name and value as received, one character per octet */
  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + OVERHEAD;
    this.pseudo = name.startsWith(':') ? pseudoOf(name, value) : null;
    this.kind = name.startsWith(':') ? 'malformed' : kindOf(name, value);
  }

  /** The line of the field in an HTTP/1.1 head; empty when a client must not set the field. */
  get line(): string {
    this.#line ??= isClients(this.name) ? `${this.name}: ${this.value}\r\n` : '';
    return this.#line;
  }
}

/** Null: malformed. The request checks paths and authorities itself, as errors there get a response and not a reset. */
function pseudoOf(name: string, value: string): Pseudo | null {
  const pseudo = PSEUDO.get(name) ?? null;
  if (pseudo === 'method') return METHOD.test(value) ? pseudo : null;
  if (pseudo === 'scheme') return value === 'https' || value === 'http' ? pseudo : null;
  return value !== '' && VALUE.test(value) ? pseudo : null;
}

function kindOf(name: string, value: string): Kind {
  const known = KNOWN.get(name) ?? (NAME.test(name) ? 'plain' : 'malformed');
  if (known === 'content-length') return LENGTH.test(value) ? known : 'malformed';
  if (known === 'te') return value.toLowerCase() === 'trailers' ? known : 'malformed';
  if (known === 'malformed' || VALUE.test(value)) return known;
  return TEXT.test(value) ? 'padded' : 'malformed';
}
