/** Interprets the fields of an HTTP/2 request, or determines why it is refused (RFC 9113 sections 8.2 and 8.3). */
import { isGrpc } from '../http/grpc.ts';
import { HEAD_TOO_LARGE, refused } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { Asked } from '../policy/policy.ts';
import type { Field, Pseudo } from './field.ts';
import type { Origin } from './origin.ts';
import type { FieldList } from './wire/hpack-decoder.ts';

interface RequestLimits {
  readonly headBytes: number;
  readonly headerFields: number;
}

/** The bytes by which HPACK's size of a field exceeds its size in an HTTP/1.1 head. */
const LESS_OVERHEAD = 28;
/** Origin form (RFC 9112 section 3.2.1): visible ASCII without the fragment. HTTP/1.1 parsers refuse other bytes. */
const TARGET = /^\/[!-"$-~]*$/;

const NO_HOST = refused(400, 'The request needs one valid authority.');
const NO_PATH = refused(400, 'The request target is not a path.');
const NO_TRACE = refused(405, 'The method TRACE is not served.');
const NO_CONNECT = refused(405, 'The method CONNECT is not served.');

export class Request implements Asked {
  method = '';
  /** Normalised, for the router. */
  host = '';
  /** Host and port as the client wrote them. */
  authority = '';
  /** Path and query as sent, not decoded. */
  target = '';
  /** The protocol of an extended CONNECT (RFC 8441). */
  protocol: string | null = null;
  contentLength: number | null = null;
  /** False: the request ended with its head. */
  readonly hasBody: boolean;
  /** The client waits for `100 Continue` before it sends its body. */
  expectsContinue = false;
  takesTrailers = false;
  isGrpc = false;
  /** The fields that name the client to the target. */
  readonly origin: Origin;
  readonly clientAddress: string;
  readonly secure: boolean;
  /** The regular fields without `host`. */
  readonly fields: Field[] = [];
  /** All cookies in one line, as in HTTP/1.1; empty: none. */
  cookie = '';
  /** Malformed (RFC 9113 section 8.1.1): the stream is reset instead of getting a response. */
  readonly isMalformed: boolean;
  /** Why the request is refused; the properties above then hold what could be read. */
  readonly failure: Failure | null;
  #hostField: string | null = null;
  #scheme = '';
  /** The first field with white space around its value. */
  #padded: string | null = null;

  /** @param fields read here, and not kept */
  constructor(fields: FieldList, hasBody: boolean, origin: Origin, limits: RequestLimits) {
    this.hasBody = hasBody;
    this.origin = origin;
    this.clientAddress = origin.client.address;
    this.secure = origin.client.secure;
    this.isMalformed = !this.#read(fields) || !this.#isWhole();
    this.failure = this.isMalformed ? null : (this.#judgeSize(fields, limits) ?? this.#judge());
  }

  /** The path of `target` without its query. */
  get path(): string {
    const query = this.target.indexOf('?');
    return query < 0 ? this.target : this.target.slice(0, query);
  }

  header(name: string): string | undefined {
    if (name === 'host') return this.authority;
    if (name === 'cookie') return this.cookie === '' ? undefined : this.cookie;
    let found: string | undefined;
    for (const field of this.fields) {
      if (field.name === name) found = found === undefined ? field.value : `${found}, ${field.value}`;
    }
    return found;
  }

  /** False: malformed. */
  #read(fields: FieldList): boolean {
    let isRegular = false;
    for (let index = 0; index < fields.count; index += 1) {
      const field = fields.at(index);
      isRegular ||= field.pseudo === null;
      const isFine =
        isRegular || field.pseudo === null ? this.#regular(field) : this.#pseudo(field.pseudo, field.value);
      if (!isFine) return false;
    }
    return true;
  }

  /** False: the field is repeated. */
  #pseudo(name: Pseudo, value: string): boolean {
    switch (name) {
      case 'method':
        if (this.method !== '') return false;
        this.method = value;
        break;
      case 'path':
        if (this.target !== '') return false;
        this.target = value;
        break;
      case 'authority':
        if (this.authority !== '') return false;
        this.authority = value;
        break;
      case 'scheme':
        if (this.#scheme !== '') return false;
        this.#scheme = value;
        break;
      case 'protocol':
        if (this.protocol !== null) return false;
        this.protocol = value;
        break;
    }
    return true;
  }

  /** False: malformed. */
  #regular(field: Field): boolean {
    const { kind, value } = field;
    switch (kind) {
      case 'cookie':
        // Clients may send one cookie per field (RFC 9113 section 8.2.3); HTTP/1.1 has one line.
        this.cookie = this.cookie === '' ? value : `${this.cookie}; ${value}`;
        return true;
      case 'host':
        if (this.#hostField !== null) return false;
        this.#hostField = value;
        return true;
      case 'content-length':
        if (this.contentLength !== null) return false;
        this.contentLength = Number(value);
        return true;
      case 'te':
        this.takesTrailers = true;
        return true;
      case 'expect':
        this.expectsContinue = value.toLowerCase() === '100-continue';
        return true;
      case 'content-type':
        this.isGrpc = isGrpc(value);
        break;
      case 'padded':
        this.#padded ??= field.name;
        return true;
      case 'malformed':
        return false;
      case 'plain':
        break;
    }
    this.fields.push(field);
    return true;
  }

  /** True when the required pseudo-header fields are there (RFC 9113 sections 8.3.1 and 8.5, RFC 8441 section 4). */
  #isWhole(): boolean {
    if (this.method === '') return false;
    if (this.method === 'CONNECT' && this.protocol === null) return this.authority !== '';
    if (this.#scheme === '' || this.target === '' || (this.protocol !== null && this.method !== 'CONNECT'))
      return false;
    return this.hasBody || this.contentLength === null || this.contentLength === 0;
  }

  #judgeSize(fields: FieldList, limits: RequestLimits): Failure | null {
    const size = fields.bytes - fields.count * LESS_OVERHEAD;
    return this.fields.length > limits.headerFields || size > limits.headBytes ? HEAD_TOO_LARGE : null;
  }

  #judge(): Failure | null {
    if (this.#padded !== null) return padded(this.#padded);
    if (this.method === 'TRACE') return NO_TRACE;
    if (this.method === 'CONNECT' && this.protocol === null) return NO_CONNECT;
    if (this.authority === '') this.authority = this.#hostField ?? '';
    const host = this.origin.hostOf(this.authority);
    if (host === null) return NO_HOST;
    // Another server might use the one while we use the other (RFC 9113 section 8.3.1).
    if (this.#hostField !== null && !sameText(this.#hostField, this.authority)) return NO_HOST;
    this.host = host;
    return TARGET.test(this.target) ? null : NO_PATH;
  }
}

const padded = (name: string): Failure =>
  refused(400, `The value of the field ${name} begins or ends with white space. Send it without.`);

function sameText(one: string, other: string): boolean {
  return one === other || one.toLowerCase() === other.toLowerCase();
}
