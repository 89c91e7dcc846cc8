/** Parser of response heads. A head that it does not accept is malformed: the client gets a 502, never a guess. */
import { ascii, decimal, isAt, isText, SPACE, startsWithText, VALUE } from '../http/bytes.ts';
import { BAD, Cuts, Fields, MORE } from '../http/fields.ts';

/** `close`: the body ends with the connection. */
export type ResponseFraming = 'none' | 'length' | 'chunked' | 'close';

const VERSION = ascii('HTTP/1.');
const LONGEST_NAME = 19;

const CONNECTION = ascii('connection');
const CONTENT_LENGTH = ascii('content-length');
const CONTENT_TYPE = ascii('content-type');
const TRANSFER_ENCODING = ascii('transfer-encoding');
const KEEP_ALIVE = ascii('keep-alive');
const TRAILER = ascii('trailer');
const DATE = ascii('date');
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'upgrade',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
];
const DROPPED = HOP_BY_HOP.slice(2).map(ascii);
/** Fields that `Connection:` cannot remove: without them the client would read another message than we did. */
const NEVER_NOMINATED = new Set(['content-length', 'transfer-encoding', 'trailer', 'content-type']);
const CLOSE = ascii('close');
const CHUNKED = ascii('chunked');
const EVENT_STREAM = ascii('text/event-stream');
const TIMEOUT = ascii('timeout=');
const UPGRADE = ascii('upgrade');
const WEBSOCKET = ascii('websocket');
const CR = 13;

export class ResponseHead {
  readonly fields = new Fields();
  /** Lines that are not forwarded to the client. */
  readonly cuts = new Cuts();
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  /** Offset after the status line; `end` is the offset after the empty line. */
  linesStart = 0;
  end = 0;
  status = 0;
  minorVersion = 1;
  framing: ResponseFraming = 'none';
  /** Bytes of the body; 0 unless `framing` is `length`. */
  contentLength = 0;
  /** The target keeps the connection open after this response. */
  keepAlive = true;
  /** How long the target says that it keeps an idle connection, ms; 0: it does not say. */
  keepAliveMs = 0;
  isEventStream = false;
  /** True when a Trailer field announces trailers. */
  hasTrailers = false;
  /** True when there is a Date field. */
  hasDate = false;
  #lengths = 0;
  #codings = 0;
  /** The value of Content-Length, whether it applies or not. */
  #declared = 0;
  #isHead = false;
  #mayUpgrade = false;
  /** The values of Connection fields that name other fields, comma-separated. */
  #nominated: string | null = null;

  /**
   * @param bytes contain a head at `start`, and a NUL at `end`
   * @param isHead the request method was HEAD
   * @param mayUpgrade the request was a WebSocket handshake, the only one that 101 may answer
   * @returns the offset after the head, BAD or MORE
   */
  read(bytes: Buffer, start: number, end: number, isHead: boolean, mayUpgrade = false): number {
    this.bytes = bytes;
    this.start = start;
    const lines = this.#statusLine(bytes, start, end);
    const after = lines < 0 ? lines : this.fields.read(bytes, lines, end);
    if (after < 0) return after;
    this.linesStart = lines;
    this.end = after;
    this.#isHead = isHead;
    this.#mayUpgrade = mayUpgrade;
    return this.#judge(bytes) ? after : BAD;
  }

  /** True for an interim response (RFC 9110 section 15.2). */
  get isInterim(): boolean {
    return this.status < 200;
  }

  /** @returns the offset after the status line, BAD or MORE */
  #statusLine(bytes: Buffer, start: number, end: number): number {
    // "HTTP/1.1 200" and the octet after it.
    if (end - start < 13) return startsLike(bytes, start, end) ? MORE : BAD;
    const minor = (bytes[start + 7] as number) - 48;
    if (!isAt(bytes, start, VERSION) || minor < 0 || minor > 1 || bytes[start + 8] !== SPACE) return BAD;
    const status = decimal(bytes, start + 9, start + 12);
    if (status < 100 || status > 599) return BAD;
    this.status = status;
    this.minorVersion = minor;
    let cursor = start + 12;
    if (bytes[cursor] !== SPACE && bytes[cursor] !== CR) return BAD;
    while (VALUE[bytes[cursor] as number] === 1) cursor += 1;
    if (cursor + 1 >= end) return MORE;
    return bytes[cursor] === CR && bytes[cursor + 1] === 10 ? cursor + 2 : BAD;
  }

  #judge(bytes: Buffer): boolean {
    const { fields } = this;
    this.cuts.clear();
    this.contentLength = 0;
    this.keepAlive = this.minorVersion === 1;
    this.keepAliveMs = 0;
    this.isEventStream = false;
    this.hasTrailers = false;
    this.hasDate = false;
    this.#lengths = 0;
    this.#codings = 0;
    this.#declared = 0;
    this.#nominated = null;
    for (let index = 0; index < fields.count; index += 1) {
      const name = fields.line(index);
      const nameEnd = fields.nameEnd(index);
      if (nameEnd - name <= LONGEST_NAME && !this.#judgeField(bytes, index, name, nameEnd)) return false;
    }
    if (this.#nominated !== null) this.#cutNominated(this.#nominated);
    // An interim response that closes the connection leaves it open whether a final one follows.
    if (this.isInterim && !this.keepAlive) return false;
    return this.#frame();
  }

  /** False: malformed. */
  #judgeField(bytes: Buffer, index: number, name: number, nameEnd: number): boolean {
    if (isText(bytes, name, nameEnd, CONTENT_LENGTH)) return this.#length(bytes, index);
    if (isText(bytes, name, nameEnd, TRANSFER_ENCODING)) return this.#coding(bytes, index);
    const start = this.fields.valueStart(index);
    const end = this.fields.valueEnd(index);
    if (isText(bytes, name, nameEnd, CONNECTION)) return this.#connection(bytes, index, start, end);
    if (isText(bytes, name, nameEnd, KEEP_ALIVE)) return this.#keepAlive(bytes, index, start, end);
    if (isText(bytes, name, nameEnd, CONTENT_TYPE)) {
      this.isEventStream = end - start >= EVENT_STREAM.length && startsWithText(bytes, start, EVENT_STREAM);
    } else if (isText(bytes, name, nameEnd, DATE)) this.hasDate = true;
    else if (isText(bytes, name, nameEnd, TRAILER)) this.hasTrailers = true;
    else for (const text of DROPPED) if (isText(bytes, name, nameEnd, text)) this.#cut(index);
    return true;
  }

  #length(bytes: Buffer, index: number): boolean {
    this.#lengths += 1;
    this.contentLength = decimal(bytes, this.fields.valueStart(index), this.fields.valueEnd(index));
    this.#declared = this.contentLength;
    if (this.#isLengthless()) this.#cut(index);
    return this.contentLength >= 0 && this.fields.isPlain(bytes, index);
  }

  #coding(bytes: Buffer, index: number): boolean {
    this.#codings += 1;
    if (this.#isBodiless()) this.#cut(index);
    const isChunked = isText(bytes, this.fields.valueStart(index), this.fields.valueEnd(index), CHUNKED);
    return isChunked && this.fields.isPlain(bytes, index);
  }

  #connection(bytes: Buffer, index: number, start: number, end: number): boolean {
    this.#cut(index);
    if (isText(bytes, start, end, CLOSE)) this.keepAlive = false;
    else if (!isText(bytes, start, end, KEEP_ALIVE)) {
      // There may be several Connection lines.
      this.#nominated = `${this.#nominated ?? ''},${bytes.toString('latin1', start, end)}`;
    }
    return true;
  }

  /** Computes the cuts again, now with the fields that the target declares hop-by-hop (RFC 9110 section 7.6.1). */
  #cutNominated(value: string): void {
    const nominated = value.split(',').map((token) => token.trim().toLowerCase());
    if (nominated.includes('close')) this.keepAlive = false;
    const dropped = new Set([...nominated.filter((name) => !NEVER_NOMINATED.has(name)), ...HOP_BY_HOP]);
    if (this.#isLengthless()) dropped.add('content-length');
    if (this.#isBodiless()) dropped.add('transfer-encoding');
    const { fields, cuts, bytes } = this;
    cuts.clear();
    for (let index = 0; index < fields.count; index += 1) {
      const name = bytes.toString('latin1', fields.line(index), fields.nameEnd(index)).toLowerCase();
      if (dropped.has(name)) this.#cut(index);
    }
  }

  #keepAlive(bytes: Buffer, index: number, start: number, end: number): boolean {
    this.#cut(index);
    if (end - start > TIMEOUT.length && startsWithText(bytes, start, TIMEOUT)) {
      let cursor = start + TIMEOUT.length;
      let seconds = 0;
      for (; cursor < end && (bytes[cursor] as number) >= 48 && (bytes[cursor] as number) <= 57; cursor += 1) {
        seconds = Math.min(seconds * 10 + (bytes[cursor] as number) - 48, 3600);
      }
      this.keepAliveMs = seconds * 1000;
    }
    return true;
  }

  /** RFC 9112 section 6.3. A message with both framings, or one of them twice, is a mistake or an attack. */
  #frame(): boolean {
    if (this.#lengths > 1 || this.#codings > 1 || this.#lengths + this.#codings > 1) return false;
    if (this.#codings > 0 && this.minorVersion === 0) return false;
    if (this.#isBodiless()) {
      this.framing = 'none';
      this.contentLength = 0;
    } else if (this.#codings > 0) this.framing = 'chunked';
    else if (this.#lengths > 0) this.framing = 'length';
    else {
      this.framing = 'close';
      this.keepAlive = false;
    }
    return this.status !== 101 || (this.#mayUpgrade && this.#isSwitch());
  }

  /**
   * True for a proper switch to WebSocket: named once, in both fields, and without anything that could frame a body.
   */
  #isSwitch(): boolean {
    const { bytes, fields } = this;
    let upgrades = 0;
    for (let index = 0; index < fields.count; index += 1) {
      if (!isText(bytes, fields.line(index), fields.nameEnd(index), UPGRADE)) continue;
      if (!isText(bytes, fields.valueStart(index), fields.valueEnd(index), WEBSOCKET)) return false;
      upgrades += 1;
    }
    const isNamed = (this.#nominated ?? '').split(',').some((token) => token.trim().toLowerCase() === 'upgrade');
    const isBare = this.#codings === 0 && this.#declared === 0;
    return upgrades === 1 && isNamed && isBare && this.minorVersion === 1;
  }

  /** True for a response that must not have a Content-Length (RFC 9110 section 8.6). */
  #isLengthless(): boolean {
    return this.status === 204 || this.isInterim;
  }

  #isBodiless(): boolean {
    return this.#isHead || this.status < 200 || this.status === 204 || this.status === 304;
  }

  #cut(index: number): void {
    const { fields } = this;
    const next = index + 1 < fields.count ? fields.line(index + 1) : this.end - 2;
    this.cuts.add(fields.line(index), next);
  }
}

/** True when the bytes so far are a prefix of a status line. */
function startsLike(bytes: Uint8Array, start: number, end: number): boolean {
  const length = Math.min(end - start, VERSION.length);
  return isAt(bytes, start, VERSION.subarray(0, length));
}
