/**
 * What the fields of an HTTP/2 request say, or why it is refused (RFC 9113 sections 8.2 and 8.3). nghttp2 has looked
 * before: it drops fields that are none, and resets streams whose pseudo fields are wrong. What follows does not lean on
 * that where a target could read another message than we did.
 */
import { HEAD_TOO_LARGE, refused } from '../pages.ts';
import type { Failure } from '../pages.ts';
import type { Client } from '../policy/client-address.ts';
import type { Asked } from '../policy/policy.ts';
import { isGrpc } from './grpc.ts';
import { normalizeHost } from '../routing/host.ts';

export interface RequestLimits {
  readonly headBytes: number;
  readonly headerFields: number;
}

/** What a field takes beside name and value, as in a head of HTTP/1.1. */
const FIELD_OVERHEAD = 4;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/;
/** A token without upper-case letters (RFC 9113 section 8.2). */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** No control but the tab (RFC 9110 section 5.5). */
// oxlint-disable-next-line no-control-regex -- they are what must not be there
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Origin form (RFC 9112 section 3.2.1): visible ASCII without the fragment. Parsers of HTTP/1.1 refuse other bytes. */
const TARGET = /^\/[!-"$-~]*$/;
const LENGTH = /^\d{1,15}$/;
/** RFC 9113 section 8.2.2. */
const CONNECTION_SPECIFIC = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

const INVALID = refused(400, 'The request is not valid HTTP/2.');
const NO_HOST = refused(400, 'The request needs one valid authority.');

export class Request implements Asked {
  method = '';
  /** Normalised, for the router. */
  host = '';
  /** Host and port as the client wrote them. */
  authority = '';
  /** Path and query as sent, not decoded. */
  target = '';
  /** The path of `target` without its query. */
  path = '';
  /** Of an extended CONNECT (RFC 8441). */
  protocol: string | null = null;
  contentLength: number | null = null;
  /** False: the request ended with its head. */
  readonly hasBody: boolean;
  /** The client waits for `100 Continue` before it sends its body. */
  expectsContinue = false;
  takesTrailers = false;
  isGrpc = false;
  readonly clientAddress: string;
  readonly secure: boolean;
  /** Fields without the pseudo fields, names and values in turn; cookies joined, `host` left out. */
  readonly fields: string[] = [];
  /** Why it is refused; the values above are then what could be read. */
  readonly failure: Failure | null;
  #cookie = '';
  #hostField: string | null = null;
  #scheme = '';

  /** @param raw names and values in turn, as node:http2 gives them */
  constructor(raw: readonly string[], hasBody: boolean, { address, secure }: Client, limits: RequestLimits) {
    this.hasBody = hasBody;
    this.clientAddress = address;
    this.secure = secure;
    this.failure = this.#read(raw, limits) ?? this.#judge();
    if (this.#cookie !== '') this.fields.push('cookie', this.#cookie);
  }

  header(name: string): string | undefined {
    if (name === 'host') return this.authority;
    const { fields } = this;
    let found: string | undefined;
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== name) continue;
      const value = fields[index + 1] ?? '';
      found = found === undefined ? value : `${found}, ${value}`;
    }
    return found;
  }

  #read(raw: readonly string[], limits: RequestLimits): Failure | null {
    let size = 0;
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const name = raw[index] as string;
      const value = raw[index + 1] as string;
      size += name.length + value.length + FIELD_OVERHEAD;
      if (!(name.startsWith(':') ? this.#pseudo(name, value) : this.#field(name, value))) return INVALID;
    }
    const tooMany = this.fields.length / 2 > limits.headerFields || size > limits.headBytes;
    return tooMany ? HEAD_TOO_LARGE : null;
  }

  #pseudo(name: string, value: string): boolean {
    switch (name) {
      case ':method':
        this.method = value;
        return METHOD.test(value);
      case ':path':
        this.target = value;
        return true;
      case ':authority':
        this.authority = value;
        return true;
      case ':scheme':
        this.#scheme = value;
        return value === 'https' || value === 'http';
      case ':protocol':
        this.protocol = value;
        return true;
      default:
        return false;
    }
  }

  /** False: the request is malformed. */
  #field(name: string, value: string): boolean {
    if (!NAME.test(name) || !VALUE.test(value)) return false;
    switch (name) {
      case 'cookie':
        // Clients may send one cookie per field (RFC 9113 section 8.2.3); elsewhere it is one line.
        this.#cookie = this.#cookie === '' ? value : `${this.#cookie}; ${value}`;
        return true;
      case 'host':
        if (this.#hostField !== null) return false;
        this.#hostField = value;
        return true;
      case 'content-length':
        if (this.contentLength !== null || !LENGTH.test(value)) return false;
        this.contentLength = Number(value);
        return true;
      case 'te':
        this.takesTrailers = true;
        return value.toLowerCase() === 'trailers';
      case 'expect':
        this.expectsContinue = value.toLowerCase() === '100-continue';
        return true;
      case 'content-type':
        this.isGrpc = isGrpc(value);
        break;
      default:
        if (CONNECTION_SPECIFIC.has(name)) return false;
    }
    this.fields.push(name, value);
    return true;
  }

  #judge(): Failure | null {
    if (this.method === 'TRACE') return refused(405, 'The method TRACE is not served.');
    if (this.method === 'CONNECT' && this.protocol === null) return refused(405, 'The method CONNECT is not served.');
    if (this.#scheme === '' || (this.protocol !== null && this.method !== 'CONNECT')) return INVALID;
    if (!this.hasBody && this.contentLength !== null && this.contentLength > 0) return INVALID;
    return this.#address();
  }

  #address(): Failure | null {
    const host = normalizeHost(this.authority === '' ? (this.#hostField ?? '') : this.authority);
    if (host === null) return NO_HOST;
    // A server after us may believe the one, we the other (RFC 9113 section 8.3.1).
    if (this.#hostField !== null && this.authority !== '' && !sameText(this.#hostField, this.authority)) return NO_HOST;
    if (this.authority === '') this.authority = this.#hostField ?? '';
    this.host = host;
    if (!TARGET.test(this.target)) return refused(400, 'The request target is not a path.');
    const query = this.target.indexOf('?');
    this.path = query < 0 ? this.target : this.target.slice(0, query);
    return null;
  }
}

function sameText(one: string, other: string): boolean {
  return one === other || one.toLowerCase() === other.toLowerCase();
}
