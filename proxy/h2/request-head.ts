/** The fields of a request as its target gets them: over HTTP/1.1 as bytes, over HTTP/2 as names and values. */
import { isClients, originHeaders } from '../general/headers.ts';
import type { RequestFraming } from '../fast/call.ts';
import type { Request } from './request.ts';

type Client = Pick<Request, 'clientAddress' | 'secure'>;

/** Methods with which servers expect a Content-Length even when there is no body (RFC 9110 section 8.6). */
const ANNOUNCES_NO_BODY = new Set(['POST', 'PUT', 'PATCH']);

export function framingOf(request: Request): RequestFraming {
  if (!request.hasBody) return 'none';
  return request.contentLength === null ? 'chunked' : 'length';
}

/** The lines that say to a target who asks, put together once per connection and authority. */
export class OriginText {
  readonly #client: Client;
  /** Of the last request. */
  #authority = '';
  #lines = '';

  constructor(client: Client) {
    this.#client = client;
  }

  /** Host and origin; the last line is X-Request-Id without its value. */
  linesFor(authority: string): string {
    if (authority === this.#authority) return this.#lines;
    const fields = Object.entries(originFields(this.#client, authority, ''));
    this.#lines = fields.map(([name, value]) => `${name}: ${value}`).join('\r\n');
    this.#authority = authority;
    return this.#lines;
  }
}

/**
 * A complete HTTP/1.1 head. Method, target, names and values were checked in request.ts: none has CR, LF or NUL, no name
 * has a colon or a space.
 */
export function http1Head(request: Request, requestId: string, origin: OriginText): Buffer {
  const { method, target, fields } = request;
  let head = `${method} ${target} HTTP/1.1\r\n${origin.linesFor(request.authority)}${requestId}\r\n`;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (isClients(name)) head += `${name}: ${fields[index + 1] as string}\r\n`;
  }
  if (request.takesTrailers) head += 'te: trailers\r\n';
  return Buffer.from(`${head}${framingField(request)}\r\n`, 'latin1');
}

/** Framed exactly as the body came to us. */
function framingField(request: Request): string {
  if (request.contentLength !== null) return `content-length: ${request.contentLength}\r\n`;
  if (request.hasBody) return 'transfer-encoding: chunked\r\n';
  return ANNOUNCES_NO_BODY.has(request.method) ? 'content-length: 0\r\n' : '';
}

/** For a target that speaks HTTP/2: names and values in turn, pseudo fields in front. */
export function http2Head(request: Request, requestId: string): string[] {
  const { method, target, authority, fields, contentLength } = request;
  const head = [':method', method, ':scheme', 'http', ':authority', authority, ':path', target];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (isClients(name)) head.push(name, fields[index + 1] as string);
  }
  const origin = originFields(request, authority, requestId);
  for (const name in origin) if (name !== 'host') head.push(name, origin[name] as string);
  if (request.takesTrailers) head.push('te', 'trailers');
  if (contentLength !== null) head.push('content-length', String(contentLength));
  return head;
}

/** X-Request-Id is the last one. */
function originFields(client: Client, authority: string, requestId: string): Record<string, string> {
  const { clientAddress: address, secure } = client;
  return originHeaders({ address, protocol: secure ? 'https' : 'http', authority, requestId });
}
