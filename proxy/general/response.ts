/** Forwards the target's response to the client, framed as the client's connection needs it. */
import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { fieldLines } from '../http/field-list.ts';
import { isBodyless, passedTrailers, responseHeaders, TRAILER, without } from '../http/headers.ts';
import { interimMessage, isForwardedInterim } from '../http/interim.ts';
import { resetConnection } from '../net/reset.ts';
import { decideCompression } from '../policy/compression.ts';
import type { Coding, Compressors } from '../policy/compression.ts';
import type { Exchange } from './exchange.ts';

/** Reports how a response ended on the target's side. */
interface ResponseEnd {
  /** The response arrived in full. The client has it once its own `finish` follows. */
  whole(): void;
  /** The response cannot be forwarded, or broke off. */
  broken(error: unknown): void;
}

/**
 * Forwards head, body (each part at once, with back-pressure) and trailers.
 * @param compressors null: the body is not compressed
 */
export function passResponse(
  exchange: Exchange,
  response: IncomingMessage,
  compressors: Compressors | null,
  end: ResponseEnd,
): void {
  const { res } = exchange;
  let coding: Coding | null;
  try {
    coding = writeHead(exchange, response, compressors);
  } catch (error) {
    // A status or field that node's parser accepts and its writer does not, like status 000.
    response.destroy();
    end.broken(error);
    return;
  }
  exchange.noteAnswer(response.statusCode ?? 0);
  response.once('error', (error) => end.broken(error));
  // Send the head at once, for event streams whose first event may be far away.
  res.flushHeaders();
  if (isBodyless(exchange.method, response.statusCode)) {
    // Complete without a body: an app that sends one nevertheless only loses its connection.
    end.whole();
    response.resume();
    res.end();
    return;
  }
  // Registered before the pipe's own listener, which ends the response to the client.
  response.once('end', () => {
    const trailers = passedTrailers(response.rawTrailers);
    if (trailers.length > 0) res.addTrailers(trailers);
    end.whole();
  });
  const body = coding && compressors ? compress(response, compressors.make(coding), res, end) : response;
  body.on('data', (chunk: Buffer) => {
    exchange.bytesOut += chunk.length;
  });
  body.pipe(res);
}

function compress(response: IncomingMessage, compressor: Transform, res: ServerResponse, end: ResponseEnd): Transform {
  compressor.once('error', (error) => {
    end.broken(error);
    // Even if the app's response arrived in full, the client does not get all of it.
    res.destroy();
  });
  res.once('close', () => compressor.destroy());
  return response.pipe(compressor);
}

/** @returns the content coding of the body */
function writeHead(exchange: Exchange, response: IncomingMessage, compressors: Compressors | null): Coding | null {
  const { req, res, method, expectsContinue, isClosing } = exchange;
  const status = response.statusCode ?? 0;
  const all = responseHeaders(response.rawHeaders, status);
  const headers = mayHaveTrailers(exchange, response) ? all : without(TRAILER, all);
  const acceptEncoding = exchange.header('accept-encoding');
  const { coding, headers: coded } = compressors
    ? decideCompression({ method, acceptEncoding, status, headers }, compressors.hasRoom)
    : { coding: null, headers };
  const close = isClosing || (expectsContinue && !req.complete);
  res.writeHead(status, response.statusMessage, close ? [...coded, 'Connection', 'close'] : [...coded]);
  return coding;
}

/** Only the chunked coding can carry trailers (RFC 9112 section 7.1.2). Node refuses to announce them elsewhere. */
function mayHaveTrailers(exchange: Exchange, response: IncomingMessage): boolean {
  const isChunked = response.headers['transfer-encoding'] !== undefined;
  return isChunked && exchange.req.httpVersion === '1.1' && !isBodyless(exchange.method, response.statusCode);
}

/**
 * Breaks the client's connection in the middle of a response. For HTTP/1.0 clients, only the end of the connection
 * frames the body: a FIN would read as a complete response, so they get a reset.
 */
export function abort({ req, res }: Pick<Exchange, 'req' | 'res'>): void {
  if (req.httpVersion === '1.1') res.destroy();
  else if (res.socket !== null) resetConnection(res.socket);
}

/** Forwards interim responses to clients that know them, which those of HTTP/1.0 do not. */
export function passInformation({ req, res, expectsContinue }: Exchange, info: InformationEvent): void {
  if (res.headersSent || req.httpVersion !== '1.1') return;
  if (info.statusCode === 100 && expectsContinue) res.writeContinue();
  if (isForwardedInterim(info.statusCode)) writeInterim(res, info.statusCode, info.rawHeaders);
}

/**
 * Writes an interim response to the connection itself: node's methods know only a few, and drop most of their fields.
 * @param fields alternating names and values
 */
export function writeInterim(res: ServerResponse, status: number, fields: readonly string[]): void {
  res.socket?.write(interimMessage(status, fields), 'latin1');
}

/** The head of a `101 Switching Protocols`. */
export function switchProtocols(response: IncomingMessage): string {
  const headers = responseHeaders(response.rawHeaders, 101);
  const fields = ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers];
  return `HTTP/1.1 101 Switching Protocols\r\n${fieldLines(fields)}\r\n`;
}
