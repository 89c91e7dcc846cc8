/** Builds the request head for the target: bytes for HTTP/1.1, names and values for HTTP/2. */
import { originHeaders } from '../http/headers.ts';
import type { RequestFraming } from '../target/call.ts';
import type { Request } from './request.ts';

/** Methods for which servers expect a Content-Length even without a body (RFC 9110 section 8.6). */
const ANNOUNCES_NO_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** The framing that an HTTP/2 request, which needs none, gets on its way to a target. */
export function framingOf(request: Request): RequestFraming {
  if (!request.hasBody) return 'none';
  return request.contentLength === null ? 'chunked' : 'length';
}

/**
 * Returns a complete HTTP/1.1 head. field.ts and request.ts have checked method, target, names and values: none
 * contains CR, LF or NUL, and no name contains a colon or a space.
 */
export function http1Head(request: Request, requestId: string): string {
  let head = `${request.method} ${request.target} HTTP/1.1\r\n${request.origin.linesFor(request.authority)}${requestId}\r\n`;
  for (const field of request.fields) head += field.line;
  if (request.cookie !== '') head += `cookie: ${request.cookie}\r\n`;
  if (request.takesTrailers) head += 'te: trailers\r\n';
  return `${head}${framingField(request)}\r\n`;
}

/** The field that frames the body as the client framed it. */
function framingField(request: Request): string {
  if (request.contentLength !== null) return `content-length: ${request.contentLength}\r\n`;
  if (request.hasBody) return 'transfer-encoding: chunked\r\n';
  return ANNOUNCES_NO_BODY.has(request.method) ? 'content-length: 0\r\n' : '';
}

/** Returns the head for an HTTP/2 target: alternating names and values, pseudo-header fields first. */
export function http2Head(request: Request, requestId: string): string[] {
  const { method, target, authority, contentLength, clientAddress: address, secure, cookie } = request;
  const head = [':method', method, ':scheme', 'http', ':authority', authority, ':path', target];
  for (const { line, name, value } of request.fields) if (line !== '') head.push(name, value);
  if (cookie !== '') head.push('cookie', cookie);
  const origin = originHeaders({ address, protocol: secure ? 'https' : 'http', authority, requestId });
  for (const [name, value] of Object.entries(origin)) if (name !== 'host') head.push(name, value);
  if (request.takesTrailers) head.push('te', 'trailers');
  if (contentLength !== null) head.push('content-length', String(contentLength));
  return head;
}
