/**
 * Interprets the request line and the routing and framing fields of a head, or determines why the request is refused.
 * Node's strict parser has read the head before (no bare LF, no Content-Length beside Transfer-Encoding, no repeated
 * Content-Length).
 */
import type { IncomingMessage } from 'node:http';
import { HEAD_TOO_LARGE, refused } from '../http/pages.ts';
import type { Failure } from '../http/pages.ts';
import type { Client } from '../policy/client-address.ts';
import { normalizeHost } from '../routing/host.ts';

export interface Request {
  /** Normalised, for the router. */
  readonly host: string;
  /** Host and port as the client wrote them. */
  readonly authority: string;
  /** Request target in origin form, as sent: path and query, not decoded. */
  readonly target: string;
  /** The path of `target` without its query. */
  readonly path: string;
  readonly hasBody: boolean;
  /** The client's address, without `::ffff:`. */
  readonly clientAddress: string;
  readonly secure: boolean;
}

/** @param client that sent the request */
export function readRequest(req: IncomingMessage, client: Client, maxFields: number): Request | Failure {
  if (req.rawHeaders.length / 2 > maxFields) return HEAD_TOO_LARGE;
  return badFraming(req) ?? readAddress(req, client);
}

/** What is known of a request that is refused. */
export function unread(req: IncomingMessage, client: Client): Request {
  const target = req.url ?? '';
  const { address: clientAddress, secure } = client;
  return { host: '', authority: '', target, path: target, hasBody: !req.complete, clientAddress, secure };
}

/** Distinguishes the results of {@link readRequest}: a request has no status. */
export function isFailure(read: Request | Failure): read is Failure {
  return 'status' in read;
}

/** Strips a prefix of whole segments from a request target; the bytes behind it stay as they are. */
export function withoutPrefix(target: string, prefix: string): string {
  const rest = target.slice(prefix.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/**
 * Only `chunked` may frame a request here (RFC 9112 section 6.1), and only in HTTP/1.1. How another server would read
 * `gzip, chunked`, or chunks in HTTP/1.0, is unknown, and two readings of one message are how smuggling works.
 */
function badFraming(req: IncomingMessage): Failure | null {
  if (req.method === 'TRACE') return refused(405, 'The method TRACE is not served.');
  const coding = req.headers['transfer-encoding'];
  if (coding === undefined) return null;
  if (req.httpVersion !== '1.1') return refused(400, 'Transfer-Encoding needs HTTP/1.1.');
  if (coding.toLowerCase() !== 'chunked') return refused(501, 'Only the transfer coding chunked is known.');
  return req.headers['content-length'] === undefined ? null : refused(400, 'The length of the body is ambiguous.');
}

function readAddress(req: IncomingMessage, client: Client): Request | Failure {
  const named = req.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  const header = req.headers.host;
  const host = header === undefined ? null : normalizeHost(header);
  if (named !== 1 || header === undefined || host === null) return refused(400, 'The request needs one valid Host.');
  const target = originForm(req.url ?? '', host, client.secure);
  if (target === null) return refused(400, 'The request target is not a path, or not of the host that Host names.');
  return {
    host,
    authority: header,
    target,
    path: target.split('?', 1)[0] ?? '/',
    clientAddress: client.address,
    secure: client.secure,
    hasBody: req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0,
  };
}

/** Valid characters of a request target: RFC 9112 section 3.2 without the fragment, and raw bytes of UTF-8 paths. */
const ORIGIN_FORM = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;

/** A request for an `https` URL is not served over a plain connection. */
const PLAIN_SCHEME = /^http:\/\/([^/?#]+)([^#]*)$/i;
const ANY_SCHEME = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/** Absolute form (RFC 9112 section 3.2.2) becomes origin form; it must name the same host as Host. Null: refused. */
function originForm(url: string, host: string, secure: boolean): string | null {
  if (url.startsWith('/')) return ORIGIN_FORM.test(url) ? url : null;
  const [, authority, rest] = (secure ? ANY_SCHEME : PLAIN_SCHEME).exec(url) ?? [];
  if (authority === undefined || normalizeHost(authority) !== host) return null;
  return originForm(rest?.startsWith('/') ? rest : `/${rest ?? ''}`, host, secure);
}
