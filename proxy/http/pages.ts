/** The pages of the proxy's own responses: small, HTML or plain text by Accept, identified by status and error code. */
import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { EdgeSettings } from '../../protocol/edge.ts';
import { ERRORS } from '../../protocol/error-catalogue.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { fieldLines } from './field-list.ts';

/** A response of the proxy in place of the app's. */
export interface Answer {
  readonly status: number;
  /** Alternating names and values, without framing fields. */
  readonly headers: readonly string[];
  readonly body: string;
  /** Null for redirects and other responses that are not failures. */
  readonly code: ErrorCode | null;
}

/** A failure to report in place of the app's response, before it is rendered as a page. */
export interface Failure {
  readonly status: number;
  readonly code: ErrorCode;
  /** One sentence for the visitor. Never text from the request. */
  readonly detail: string;
}

/** Makes a failure with the status that the error catalogue lists for its code. */
const coded = (code: ErrorCode, detail: string): Failure => ({ status: ERRORS[code].status, code, detail });

export const HOST_UNKNOWN = coded('ORK_HOST_UNKNOWN', 'No app is served at this address.');
export const TABLE_UNREADABLE: Failure = {
  status: 503,
  code: 'ORK_TABLE_UNREADABLE',
  detail: 'The server has lost its list of apps and is waiting to receive it again.',
};
export const APP_UNREACHABLE = coded('ORK_APP_UNREACHABLE', 'The app behind this address did not answer properly.');
export const APP_UNAVAILABLE = coded(
  'ORK_APP_UNAVAILABLE',
  'The app behind this address is not accepting requests right now.',
);
export const APP_TIMEOUT = coded('ORK_APP_TIMEOUT', 'The app behind this address did not answer in time.');

/** Makes the failure of a request that the proxy does not forward. */
export const refused = (status: number, detail: string): Failure => ({ status, code: 'ORK_INVALID', detail });

export const HEAD_TOO_LARGE: Failure = {
  status: 431,
  code: 'ORK_TOO_LARGE',
  detail: 'The header fields of the request are too many or too large.',
};
export const CLIENT_TIMEOUT = refused(408, 'The request did not arrive in time.');

export const ADDRESS_REFUSED = coded(
  'ORK_ADDRESS_REFUSED',
  'The app does not accept requests from your network address.',
);
export const MAINTENANCE = coded('ORK_MAINTENANCE', 'The app is closed for maintenance. Please try again later.');
export const PASSWORD_NEEDED = coded('ORK_UNAUTHENTICATED', 'The app requires a user name and a password.');
export const BODY_TOO_LARGE = coded('ORK_TOO_LARGE', 'The body of the request is larger than the app accepts.');
export const TOO_MANY_REQUESTS = coded('ORK_TOO_MANY_REQUESTS', 'Too many requests came from your network address.');

/** Error pages of an environment that replace the built-in ones, by status. */
type OwnPages = EdgeSettings['errorPages'];

interface Page {
  readonly type: string;
  readonly body: string;
}

/** True when the client names HTML in Accept; a bare wildcard (curl, health checks) gets plain text. */
function wantsHtml(accept: string | undefined): boolean {
  return accept !== undefined && /(?:^|,)\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|,|$)/i.test(accept);
}

/** Renders the page for a failure. An environment's own page is HTML, so only clients that ask for HTML get it. */
function renderPage(failure: Failure, accept: string | undefined, own: OwnPages = {}): Page {
  const ownPage = (own as Readonly<Record<string, string | undefined>>)[failure.status];
  if (ownPage === undefined || !wantsHtml(accept)) return builtInPage(failure, accept);
  return { type: 'text/html; charset=utf-8', body: ownPage };
}

/** Renders the page for a failure as a response without framing fields. */
export function pageAnswer(
  failure: Failure,
  accept: string | undefined,
  own: OwnPages,
  more: readonly string[] = [],
): Answer {
  const { type, body } = renderPage(failure, accept, own);
  const headers = ['Content-Type', type, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff', ...more];
  return { status: failure.status, headers, body, code: failure.code };
}

function builtInPage({ status, code, detail }: Failure, accept: string | undefined): Page {
  const title = `${status} ${STATUS_CODES[status] ?? 'Error'}`;
  if (!wantsHtml(accept)) return { type: 'text/plain; charset=utf-8', body: `${title}\n${detail}\n${code}\n` };
  const style =
    'body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}code{color:#666}';
  const head = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${style}</style>`;
  return {
    type: 'text/html; charset=utf-8',
    body: `${head}<h1>${title}</h1><p>${detail}</p><code>${code}</code></html>\n`,
  };
}

/** The response to a failure, the same in all engines. */
export function failureAnswer(failure: Failure, accept: string | undefined, own: OwnPages = {}): Answer {
  // Every cause of a 503 is short: a flip, the start of an app, a burst of requests.
  return pageAnswer(failure, accept, own, failure.status === 503 ? ['Retry-After', '1'] : []);
}

/** Sends a response in place of the app's. The caller must make sure that no head was sent. */
export function sendAnswer(res: ServerResponse, { status, headers, body }: Answer, close: boolean): void {
  const framing = ['Content-Length', String(Buffer.byteLength(body)), ...(close ? ['Connection', 'close'] : [])];
  res.writeHead(status, STATUS_CODES[status], [...headers, ...framing]);
  res.end(body);
}

/** The page for a failure as a complete message, for a connection without a response object. */
export function rawPage(failure: Failure): string {
  const { status, headers, body } = pageAnswer(failure, undefined, {});
  const fields = [...headers, 'Content-Length', String(Buffer.byteLength(body)), 'Connection', 'close'];
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fieldLines(fields)}\r\n${body}`;
}
