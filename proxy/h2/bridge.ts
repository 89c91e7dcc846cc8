/**
 * Requests that need what only the general engine knows (compression, basic auth, holds, WebSockets, ...) are spoken to
 * it in HTTP/1.1 over a connection within the process. So each feature is the same for all clients, and routing, claim,
 * metrics and log are the general engine's own.
 */
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';

import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { breakStream, lingerOn } from './break.ts';
import { asObject, linksOf, passedFields, passedTrailerFields } from './fields.ts';
import { MemorySocket } from './memory-socket.ts';
import type { Request } from './request.ts';

/** The general engine, as a listener for connections. */
export interface Acceptor {
  accept(socket: Duplex): unknown;
}

/** Answers of a WebSocket handshake that concern HTTP/1.1 only (RFC 8441 section 5.1). */
const HANDSHAKE = new Set(['sec-websocket-accept', 'connection', 'upgrade']);

/** Takes the stream over: answers it by the general engine. */
export function bridge(client: ServerHttp2Stream, request: Request, general: Acceptor): void {
  const { clientAddress: address, secure } = request;
  const [near, far] = MemorySocket.pair({ address, secure });
  general.accept(far);
  new Bridge(client, request, near).start();
}

class Bridge {
  readonly #client: ServerHttp2Stream;
  readonly #request: Request;
  readonly #upstream: ClientRequest;
  #tunnel: Duplex | null = null;

  constructor(client: ServerHttp2Stream, request: Request, near: MemorySocket) {
    this.#client = client;
    this.#request = request;
    const isWebSocket = request.protocol !== null;
    this.#upstream = httpRequest({
      createConnection: () => near,
      method: isWebSocket ? 'GET' : request.method,
      path: request.target,
      headers: isWebSocket ? handshakeHead(request) : plainHead(request),
    });
  }

  start(): void {
    this.#listen();
    if (this.#request.protocol === null) this.#pump();
    else this.#upstream.end();
  }

  #listen(): void {
    const client = this.#client;
    const upstream = this.#upstream;
    client.on('close', () => this.#closed());
    upstream.on('continue', () => this.#information({ ':status': 100 }));
    upstream.on('information', ({ statusCode, rawHeaders }) => {
      if (statusCode === 103) this.#information({ ':status': 103, link: linksOf(rawHeaders) });
    });
    upstream.on('response', (response) => this.#answer(response));
    upstream.on('upgrade', (response, socket, head) => this.#upgraded(response, socket, head));
    // The general engine answers every request; it breaks a connection only when the answer cannot be completed.
    upstream.on('error', () => breakStream(client));
  }

  #pump(): void {
    const client = this.#client;
    const upstream = this.#upstream;
    if (!this.#request.hasBody) {
      upstream.end();
      return;
    }
    client.on('trailers', (_fields: unknown, _flags: number, raw: readonly string[]) => {
      const trailers = passedTrailerFields(raw);
      if (trailers.length > 0 && this.#request.contentLength === null) upstream.addTrailers(asObject(trailers));
    });
    if (this.#request.expectsContinue) upstream.flushHeaders();
    client.pipe(upstream);
  }

  #information(fields: Record<string, number | readonly string[]>): void {
    if (!this.#client.headersSent && !this.#client.closed) this.#client.additionalHeaders({ ...fields } as never);
  }

  #answer(response: IncomingMessage): void {
    const client = this.#client;
    if (client.closed) return;
    const status = response.statusCode ?? 0;
    const mayTrail = response.headers['transfer-encoding'] !== undefined && this.#request.method !== 'HEAD';
    if (mayTrail) {
      client.on('wantTrailers', () => client.sendTrailers(asObject(passedTrailerFields(response.rawTrailers))));
    }
    response.on('error', () => breakStream(client));
    client.respond([':status', String(status), ...passedFields(response.rawHeaders, status)], {
      waitForTrailers: mayTrail,
    });
    response.once('end', () => {
      if (client.readableEnded || !this.#request.hasBody) return;
      client.unpipe(this.#upstream);
      lingerOn(client);
    });
    response.pipe(client);
  }

  #upgraded(response: IncomingMessage, socket: Duplex, head: Buffer): void {
    const client = this.#client;
    this.#tunnel = socket;
    socket.on('error', () => breakStream(client));
    if (client.closed) return void socket.destroy();
    const fields = passedFields(response.rawHeaders, 200);
    const kept = fields.filter((_, index) => !HANDSHAKE.has(fields[index - (index % 2)] ?? ''));
    client.respond([':status', '200', ...kept]);
    if (head.length > 0) client.write(head);
    socket.pipe(client);
    client.pipe(socket);
    return undefined;
  }

  #closed(): void {
    // A reset of the client, or all is done and this is of no consequence.
    this.#upstream.destroy();
    this.#tunnel?.destroy();
  }
}

function plainHead(request: Request): string[] {
  const { contentLength, hasBody, expectsContinue, takesTrailers } = request;
  const head = [...commonFields(request), 'connection', 'close'];
  if (contentLength !== null) head.push('content-length', String(contentLength));
  else if (hasBody) head.push('transfer-encoding', 'chunked');
  if (expectsContinue) head.push('expect', '100-continue');
  if (takesTrailers) head.push('te', 'trailers');
  return head;
}

/** RFC 8441 section 5: what HTTP/1.1 wants of a handshake beside what the client sent. */
function handshakeHead(request: Request): string[] {
  const key = randomBytes(16).toString('base64');
  return [...commonFields(request), 'connection', 'Upgrade', 'upgrade', 'websocket', 'sec-websocket-key', key];
}

function commonFields({ authority, fields }: Request): string[] {
  return ['host', authority, ...fields];
}
