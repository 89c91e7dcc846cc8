/** The way back: the target's response to the client, framed as the client's connection needs it. */
import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import type { Exchange } from './exchange.ts';
import { passedTrailers, responseHeaders } from './headers.ts';

/** How a response ended on the target's side. */
export interface ResponseEnd {
  /** All of it came. The client has it when its own `finish` follows. */
  whole(): void;
  /** It cannot be passed on, or broke off. */
  broken(error: unknown): void;
}

/** Passes head, body (unbuffered, with back-pressure) and trailers on. */
export function passResponse(exchange: Exchange, response: IncomingMessage, end: ResponseEnd): void {
  const { res } = exchange;
  try {
    writeHead(exchange, response);
  } catch (error) {
    // A status or field that node's parser lets in and its writer does not, like status 000.
    response.destroy();
    end.broken(error);
    return;
  }
  // The head goes out at once, for event streams whose first event may be far away.
  res.flushHeaders();
  // Before the pipe's own listener, which ends the response to the client.
  response.once('end', () => {
    const trailers = passedTrailers(response.rawTrailers);
    if (trailers.length > 0) res.addTrailers(trailers);
    end.whole();
  });
  response.once('error', (error) => end.broken(error));
  response.pipe(res);
}

function writeHead(exchange: Exchange, response: IncomingMessage): void {
  const { req, res, expectsContinue } = exchange;
  const status = response.statusCode ?? 0;
  const close = exchange.closing() || (expectsContinue && !req.complete);
  const headers = responseHeaders(response.rawHeaders, status);
  res.writeHead(status, response.statusMessage, close ? [...headers, 'Connection', 'close'] : headers);
}

/**
 * Ends the client's connection in the middle of a response. Only the end of the connection frames a body for HTTP/1.0
 * clients: there a FIN would read as a complete response, so it is a reset.
 */
export function abort({ req, res }: Exchange): void {
  if (req.httpVersion === '1.1') res.destroy();
  else res.socket?.resetAndDestroy();
}

/** 1xx responses (RFC 9110 section 15.2), to clients that know them. */
export function passInformation({ req, res, expectsContinue }: Exchange, info: InformationEvent): void {
  if (res.headersSent || req.httpVersion !== '1.1') return;
  if (info.statusCode === 100 && expectsContinue) res.writeContinue();
  if (info.statusCode === 102) res.writeProcessing();
  if (info.statusCode === 103) passEarlyHints(res, info);
}

function passEarlyHints(res: ServerResponse, { rawHeaders }: InformationEvent): void {
  const links = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && name.toLowerCase() === 'link' ? [rawHeaders[index + 1] ?? ''] : [],
  );
  try {
    if (links.length > 0) res.writeEarlyHints({ link: links });
  } catch {
    // node refuses links that it cannot read. Hints are hints: the response will say all.
  }
}

/** The head of a `101 Switching Protocols`. */
export function switchProtocols(response: IncomingMessage): string {
  const headers = responseHeaders(response.rawHeaders, 101);
  const fields = ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers];
  const lines = fields.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${fields[index + 1] ?? ''}\r\n`] : []));
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}
