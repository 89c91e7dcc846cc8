/**
 * Parser of request heads. It accepts only what it positively recognises. Everything else (other methods, HTTP/1.0,
 * upgrades to anything but WebSocket, expectations, nominated fields, announced trailers, anything odd) goes to the
 * general engine, which parses the same bytes again with node's parser and serves or refuses the request.
 */
import { ascii, AUTHORITY, decimal, isAt, isText, SPACE, startsWithText, TARGET, TOKEN } from '../http/bytes.ts';
import { BAD, Cuts, Fields, MORE } from '../http/fields.ts';

/** `more`: not complete yet. `general`: not for the fast engine. */
type HeadVerdict = 'more' | 'fast' | 'general';

export type BodyFraming = 'none' | 'length' | 'chunked';

/** The accepted methods, each with its trailing space. GET comes first because it is by far the most frequent. */
const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((name) => ({
  name,
  bytes: ascii(`${name} `),
}));
const VERSION = ascii('HTTP/1.1\r\n');

const HOST = ascii('host');
const CONNECTION = ascii('connection');
const CONTENT_LENGTH = ascii('content-length');
const TRANSFER_ENCODING = ascii('transfer-encoding');
const ACCEPT = ascii('accept');
const HTML = ascii('text/html');
const XHTML = ascii('application/xhtml+xml');
const COMMA = 0x2c;
const REQUEST_ID = ascii('x-request-id');
const FORWARDED_PREFIX = ascii('x-forwarded-');
/** Never forwarded: hop-by-hop, set by the proxy itself, or dangerous (http/headers.ts has the reasons). */
const DROPPED = byLength([
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'forwarded',
  'x-real-ip',
  'proxy',
]);
/** A request with one of these has semantics that only the general engine implements. */
const GENERAL = byLength(['te', 'expect', 'trailer', 'max-forwards', 'http2-settings']);
const UPGRADE = ascii('upgrade');
const WEBSOCKET = ascii('websocket');
const WEBSOCKET_KEY = ascii('sec-websocket-key');
const WEBSOCKET_VERSION = ascii('sec-websocket-version');
const VERSION_13 = ascii('13');
/** 16 octets in base64 (RFC 6455 section 4.1). */
const KEY_LENGTH = 24;
const KEEP_ALIVE = ascii('keep-alive');
const CLOSE = ascii('close');
const CHUNKED = ascii('chunked');
const SLASH = 47;
const QUESTION = 63;
const UNDERSCORE = 95;
const NOTHING: readonly Uint8Array[] = [];

export class RequestHead {
  readonly fields = new Fields();
  /** Lines that are not forwarded to the target. */
  readonly cuts = new Cuts();
  method = 'GET';
  /** The request target, in origin form. */
  targetStart = 0;
  targetEnd = 0;
  /** End of the path: the `?`, or the end of the target. */
  pathEnd = 0;
  hostStart = -1;
  hostEnd = -1;
  framing: BodyFraming = 'none';
  /** Bytes of the body; 0 unless `framing` is `length`. */
  contentLength = 0;
  /** The client wants the connection closed after the answer. */
  close = false;
  /** True for the `Accept` of browsers; other clients get plain text error pages. */
  wantsHtml = false;
  /** True for a WebSocket handshake in its one standard form (RFC 6455 section 4.1): what follows it is not HTTP. */
  isHandshake = false;
  start = 0;
  /** Offset after the empty line. */
  end = 0;
  /** Value of X-Request-Id; -1: none. */
  requestIdStart = -1;
  requestIdEnd = -1;
  /** Number of Connection fields that ask for an upgrade, and of Upgrade fields that name WebSocket. */
  #upgrades = 0;
  #webSockets = 0;

  /**
   * @param bytes contain a head at `start`, and a NUL at `end`
   * @param maxBytes of the whole head
   * @returns `fast` when every property of this object is set
   */
  read(bytes: Uint8Array, start: number, end: number, maxBytes: number): HeadVerdict {
    const lines = this.#requestLine(bytes, start, end);
    const after = lines < 0 ? lines : this.fields.read(bytes, lines, end);
    if (after === BAD) return 'general';
    // The general engine refuses a head that is too large.
    if (after === MORE) return end - start > maxBytes ? 'general' : 'more';
    if (after - start > maxBytes) return 'general';
    this.start = start;
    this.end = after;
    return this.#judge(bytes) ? 'fast' : 'general';
  }

  /** @returns the offset after the request line, BAD or MORE */
  #requestLine(bytes: Uint8Array, start: number, end: number): number {
    const after = this.#method(bytes, start, end);
    if (after < 0) return after;
    let cursor = after;
    this.targetStart = cursor;
    if (bytes[cursor] !== SLASH) return cursor >= end ? MORE : BAD;
    while (TARGET[bytes[cursor] as number] === 1 && bytes[cursor] !== QUESTION) cursor += 1;
    this.pathEnd = cursor;
    while (TARGET[bytes[cursor] as number] === 1) cursor += 1;
    this.targetEnd = cursor;
    if (cursor >= end) return MORE;
    return bytes[cursor] === SPACE ? expect(bytes, cursor + 1, end, VERSION) : BAD;
  }

  #method(bytes: Uint8Array, start: number, end: number): number {
    for (const method of METHODS) {
      // Three methods begin with `P`.
      if (bytes[start] !== method.bytes[0]) continue;
      const after = expect(bytes, start, end, method.bytes);
      if (after === BAD) continue;
      this.method = method.name;
      return after;
    }
    return start >= end ? MORE : BAD;
  }

  /** Evaluates the fields that affect routing, framing or forwarding. False: for the general engine. */
  #judge(bytes: Uint8Array): boolean {
    const { fields } = this;
    this.cuts.clear();
    this.hostStart = -1;
    this.framing = 'none';
    this.contentLength = 0;
    this.close = false;
    this.wantsHtml = false;
    this.requestIdStart = -1;
    this.#upgrades = 0;
    this.#webSockets = 0;
    for (let index = 0; index < fields.count; index += 1) {
      if (!this.#judgeField(bytes, index, fields.line(index), fields.nameEnd(index))) return false;
    }
    this.isHandshake = this.#upgrades + this.#webSockets > 0;
    return this.hostStart >= 0 && (!this.isHandshake || this.#isWhole(bytes));
  }

  /** True when the handshake has every required field exactly once, and neither a body nor `Connection: close`. */
  #isWhole(bytes: Uint8Array): boolean {
    const { fields } = this;
    let keys = 0;
    let versions = 0;
    for (let index = 0; index < fields.count; index += 1) {
      const name = fields.line(index);
      const nameEnd = fields.nameEnd(index);
      if (isText(bytes, name, nameEnd, WEBSOCKET_KEY)) {
        if (fields.valueEnd(index) - fields.valueStart(index) !== KEY_LENGTH) return false;
        keys += 1;
      } else if (isText(bytes, name, nameEnd, WEBSOCKET_VERSION)) {
        if (!isText(bytes, fields.valueStart(index), fields.valueEnd(index), VERSION_13)) return false;
        versions += 1;
      }
    }
    const isAsked = this.#upgrades === 1 && this.#webSockets === 1 && keys === 1 && versions === 1;
    return isAsked && this.method === 'GET' && this.framing === 'none' && !this.close;
  }

  #judgeField(bytes: Uint8Array, index: number, name: number, nameEnd: number): boolean {
    if (isText(bytes, name, nameEnd, HOST)) return this.#host(bytes, index);
    if (isText(bytes, name, nameEnd, CONNECTION)) return this.#connection(bytes, index);
    if (isText(bytes, name, nameEnd, CONTENT_LENGTH)) return this.#length(bytes, index);
    if (isText(bytes, name, nameEnd, TRANSFER_ENCODING)) return this.#chunked(bytes, index);
    if (isText(bytes, name, nameEnd, REQUEST_ID)) return this.#requestId(index);
    if (isText(bytes, name, nameEnd, ACCEPT)) {
      this.wantsHtml ||= listsHtml(bytes, this.fields.valueStart(index), this.fields.valueEnd(index));
      return true;
    }
    if (isText(bytes, name, nameEnd, UPGRADE)) return this.#upgrade(bytes, index);
    for (const text of GENERAL[nameEnd - name] ?? NOTHING) if (isText(bytes, name, nameEnd, text)) return false;
    if (isDropped(bytes, name, nameEnd)) this.#cut(index);
    return true;
  }

  #host(bytes: Uint8Array, index: number): boolean {
    const start = this.fields.valueStart(index);
    const end = this.fields.valueEnd(index);
    if (this.hostStart >= 0 || start === end) return false;
    for (let at = start; at < end; at += 1) if (AUTHORITY[bytes[at] as number] !== 1) return false;
    this.hostStart = start;
    this.hostEnd = end;
    return true;
  }

  #connection(bytes: Uint8Array, index: number): boolean {
    const start = this.fields.valueStart(index);
    const end = this.fields.valueEnd(index);
    this.#cut(index);
    if (isText(bytes, start, end, KEEP_ALIVE)) return true;
    if (isText(bytes, start, end, CLOSE)) {
      this.close = true;
      return true;
    }
    this.#upgrades += 1;
    return listsUpgrade(bytes, start, end);
  }

  #upgrade(bytes: Uint8Array, index: number): boolean {
    this.#cut(index);
    this.#webSockets += 1;
    return isText(bytes, this.fields.valueStart(index), this.fields.valueEnd(index), WEBSOCKET);
  }

  #length(bytes: Uint8Array, index: number): boolean {
    const length = decimal(bytes, this.fields.valueStart(index), this.fields.valueEnd(index));
    if (length < 0 || this.framing !== 'none' || !this.fields.isPlain(bytes, index)) return false;
    this.framing = 'length';
    this.contentLength = length;
    return true;
  }

  #chunked(bytes: Uint8Array, index: number): boolean {
    const isChunked = isText(bytes, this.fields.valueStart(index), this.fields.valueEnd(index), CHUNKED);
    if (this.framing !== 'none' || !isChunked || !this.fields.isPlain(bytes, index)) return false;
    this.framing = 'chunked';
    return true;
  }

  #requestId(index: number): boolean {
    // A repeated field is ambiguous.
    if (this.requestIdStart >= 0) return false;
    this.requestIdStart = this.fields.valueStart(index);
    this.requestIdEnd = this.fields.valueEnd(index);
    this.#cut(index);
    return true;
  }

  #cut(index: number): void {
    const { fields } = this;
    const next = index + 1 < fields.count ? fields.line(index + 1) : this.end - 2;
    this.cuts.add(fields.line(index), next);
  }
}

/** @returns the offset after `text`, BAD when the bytes differ from it, MORE when they end within it */
function expect(bytes: Uint8Array, start: number, end: number, text: Uint8Array): number {
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[start + index] !== text[index]) return start + index >= end ? MORE : BAD;
  }
  return start + text.length;
}

/** True when the value lists HTML under one of its two media types. Browsers put it first. */
function listsHtml(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at + HTML.length <= end; at += 1) {
    if (isAt(bytes, at, HTML) || isAt(bytes, at, XHTML)) return true;
    while (at < end && bytes[at] !== COMMA) at += 1;
    while (bytes[at + 1] === SPACE) at += 1;
  }
  return false;
}

/** True for a list of `upgrade`, with or without `keep-alive`, and nothing else. */
function listsUpgrade(bytes: Uint8Array, start: number, end: number): boolean {
  let upgrades = 0;
  let at = start;
  while (at < end) {
    while (bytes[at] === SPACE) at += 1;
    const token = at;
    while (at < end && TOKEN[bytes[at] as number] === 1) at += 1;
    if (isText(bytes, token, at, UPGRADE)) upgrades += 1;
    else if (!isText(bytes, token, at, KEEP_ALIVE)) return false;
    if (at === end) return upgrades === 1;
    if (bytes[at] !== COMMA) return false;
    at += 1;
  }
  return false;
}

function isDropped(bytes: Uint8Array, name: number, nameEnd: number): boolean {
  for (const text of DROPPED[nameEnd - name] ?? NOTHING) if (isText(bytes, name, nameEnd, text)) return true;
  if (nameEnd - name > 12 && startsWithText(bytes, name, FORWARDED_PREFIX)) return true;
  for (let index = name; index < nameEnd; index += 1) if (bytes[index] === UNDERSCORE) return true;
  return false;
}

/** Indexes the names by length. */
function byLength(names: readonly string[]): readonly (readonly Uint8Array[] | undefined)[] {
  const longest = Math.max(...names.map(({ length }) => length));
  return Array.from({ length: longest + 1 }, (_, length) => {
    const fitting = names.filter((name) => name.length === length);
    return fitting.length > 0 ? fitting.map(ascii) : undefined;
  });
}
