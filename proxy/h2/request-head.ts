/** The fields of a request as its target gets them: over HTTP/1.1 as bytes, over HTTP/2 as names and values. */
import { originHeaders } from '../http/headers.ts';
import type { RequestFraming } from '../target/call.ts';
import type { Request } from './request.ts';

/** Methods with which servers expect a Content-Length even when there is no body (RFC 9110 section 8.6). */
const ANNOUNCES_NO_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** How a request of HTTP/2, whose frames say it all, is framed on its way to an app. */
export function framingOf(request: Request): RequestFraming {
  if (!request.hasBody) return 'none';
  return request.contentLength === null ? 'chunked' : 'length';
}

/**
 * A complete HTTP/1.1 head. Method, target, names and values were checked in field.ts and request.ts: none has CR, LF or
 * NUL, no name has a colon or a space.
 */
export function http1Head(request: Request, requestId: string): string {
  let head = `${request.method} ${request.target} HTTP/1.1\r\n${request.origin.linesFor(request.authority)}${requestId}\r\n`;
  for (const field of request.fields) head += field.line;
  if (request.cookie !== '') head += `cookie: ${request.cookie}\r\n`;
  if (request.takesTrailers) head += 'te: trailers\r\n';
  return `${head}${framingField(request)}\r\n`;
}

/** Framed exactly as the body came to us. */
function framingField(request: Request): string {
  if (request.contentLength !== null) return `content-length: ${request.contentLength}\r\n`;
  if (request.hasBody) return 'transfer-encoding: chunked\r\n';
  return ANNOUNCES_NO_BODY.has(request.method) ? 'content-length: 0\r\n' : '';
}

/** For a target that speaks HTTP/2: names and values in turn, pseudo fields in front. */
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
