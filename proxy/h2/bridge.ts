/**
 * Passes requests that need a feature of the general engine (compression, basic auth, holds, WebSockets, ...) to it
 * over an in-process connection that speaks HTTP/1.1. So each feature works the same for all clients, and the general
 * engine does routing, claim, metrics and log.
 */
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex, Readable, Writable } from 'node:stream';
import type { Acceptor } from '../engine/context.ts';
import { asObject, passedFields, passedTrailerFields } from '../http/field-list.ts';
import { TRAILER, without } from '../http/headers.ts';
import { isForwardedInterim } from '../http/interim.ts';
import { Gathered } from '../net/gathered.ts';
import { MemorySocket } from '../net/memory-socket.ts';
import type { Request } from './request.ts';
import type { ServerStream, StreamSink } from './stream.ts';
import type { FieldBlock } from './wire/field-block.ts';

/** The dependencies of a bridge. */
interface Ground {
  readonly general: Acceptor;
  readonly tools: { readonly block: FieldBlock };
}

/** Response fields of a WebSocket handshake that concern HTTP/1.1 only (RFC 8441 section 5.1). */
const HANDSHAKE = new Set(['sec-websocket-accept', 'connection', 'upgrade']);

/** Takes over the stream: the general engine will respond to it. */
export function bridge(client: ServerStream, request: Request, { general, tools }: Ground): void {
  const { clientAddress: address, secure } = request;
  const [near, far] = MemorySocket.pair({ address, secure });
  general.accept(far);
  client.sink = new Bridge(client, request, near, tools.block);
}

class Bridge implements StreamSink {
  readonly #client: ServerStream;
  readonly #request: Request;
  readonly #block: FieldBlock;
  readonly #upstream: ClientRequest;
  /** Where the bytes from the client go; null while they wait for the response to a WebSocket handshake. */
  #to: Writable | null = null;
  /** The queued bytes from the client; its flow-control window bounds them. */
  #behind = new Gathered();
  /** The source of the bytes for the client. */
  #from: Readable | null = null;
  #tunnel: Duplex | null = null;
  /** True while the general engine applies back-pressure. */
  #isFull = false;
  #isAnswered = false;

  constructor(client: ServerStream, request: Request, near: MemorySocket, block: FieldBlock) {
    this.#client = client;
    this.#request = request;
    this.#block = block;
    const isWebSocket = request.protocol !== null;
    this.#upstream = httpRequest({
      createConnection: () => near,
      method: isWebSocket ? 'GET' : request.method,
      path: request.target,
      headers: isWebSocket ? handshakeHead(request) : plainHead(request),
    });
    this.#listen();
    if (isWebSocket || !request.hasBody) this.#upstream.end();
    // The client may withhold its body until the app has seen the head: for `100 Continue`, or for the first message of
    // a dialogue. With `content-length: 0`, the head alone would be a complete request, which the client has not ended.
    else if (request.contentLength !== 0) this.#upstream.flushHeaders();
    if (!isWebSocket) this.#to = this.#upstream;
  }

  data(bytes: Buffer, start: number, end: number): boolean {
    const part = bytes.subarray(start, end);
    if (this.#to !== null && !this.#isFull) return this.#give(this.#to, Buffer.from(part));
    this.#behind.add(part);
    return false;
  }

  ended(trailers: readonly string[]): void {
    const passed = passedTrailerFields(trailers);
    const mayTrail = this.#to === this.#upstream && this.#request.contentLength === null;
    if (passed.length > 0 && mayTrail) this.#upstream.addTrailers(asObject(passed));
    if (!this.#behind.isEmpty) this.#to?.write(this.#behind.take());
    this.#to?.end();
  }

  sent(): void {
    this.#from?.resume();
  }

  /** The general engine enforces the time limits. */
  tick(): void {}

  closed(): void {
    // Either the client has reset the stream, or all is done and this has no effect.
    this.#upstream.destroy();
    this.#tunnel?.destroy();
  }

  #listen(): void {
    const upstream = this.#upstream;
    upstream.on('continue', () => this.#client.inform(this.#block.begin(100)));
    upstream.on('information', ({ statusCode: status, rawHeaders }) => {
      if (isForwardedInterim(status))
        this.#client.inform(this.#block.begin(status).addAll(passedFields(rawHeaders, status)));
    });
    upstream.on('response', (response) => this.#answer(response));
    upstream.on('upgrade', (response, socket, head) => this.#upgraded(response, socket, head));
    // The general engine responds to every request; it breaks a connection only when it cannot complete the response.
    upstream.on('error', () => this.#broken());
  }

  #give(to: Writable, chunk: Buffer): boolean {
    if (to.write(chunk)) return true;
    this.#isFull = true;
    to.once('drain', () => {
      this.#isFull = false;
      const bytes = this.#behind.take();
      if (bytes.length === 0 || this.#give(to, bytes)) this.#client.resume();
    });
    return false;
  }

  #answer(response: IncomingMessage): void {
    const client = this.#client;
    const status = response.statusCode ?? 0;
    response.on('error', () => this.#broken());
    client.respond(this.#block.begin(status).addAll(passedFields(response.rawHeaders, status)));
    this.#flow(response, () => {
      this.#isAnswered = true;
      client.linger();
      client.end(this.#request.method === 'HEAD' ? [] : passedTrailerFields(response.rawTrailers));
    });
  }

  #upgraded(response: IncomingMessage, socket: Duplex, head: Buffer): void {
    const client = this.#client;
    if (!client.isOpen) {
      socket.destroy();
      return;
    }
    this.#tunnel = socket;
    socket.on('error', () => this.#broken());
    const fields = passedFields(response.rawHeaders, 200);
    const kept = fields.filter((_, index) => !HANDSHAKE.has(fields[index - (index % 2)] ?? ''));
    client.respond(this.#block.begin(200).addAll(kept));
    if (head.length > 0) client.write(head, 0, head.length);
    this.#flow(socket, () => client.end());
    this.#to = socket;
    const early = this.#behind.take();
    const isTaken = early.length === 0 || this.#give(socket, early);
    if (client.isRequestEnded) socket.end();
    else if (isTaken) client.resume();
  }

  /** Forwards bytes from the general engine to the client. */
  #flow(from: Readable, whole: () => void): void {
    this.#from = from;
    from.on('data', (bytes: Buffer) => {
      if (!this.#client.write(bytes, 0, bytes.length)) from.pause();
    });
    from.once('end', whole);
  }

  #broken(): void {
    if (!this.#isAnswered) this.#client.break();
  }
}

function plainHead(request: Request): string[] {
  const { contentLength, hasBody, expectsContinue, takesTrailers } = request;
  const isChunked = hasBody && contentLength === null;
  const fields = commonFields(request);
  const head = [...(isChunked ? fields : without(TRAILER, fields)), 'connection', 'close'];
  if (contentLength !== null) head.push('content-length', String(contentLength));
  else if (isChunked) head.push('transfer-encoding', 'chunked');
  if (expectsContinue) head.push('expect', '100-continue');
  if (takesTrailers) head.push('te', 'trailers');
  return head;
}

/** Adds what an HTTP/1.1 handshake needs beyond the fields that the client sent (RFC 8441 section 5). */
function handshakeHead(request: Request): string[] {
  const key = randomBytes(16).toString('base64');
  const fields = without(TRAILER, commonFields(request));
  return [...fields, 'connection', 'Upgrade', 'upgrade', 'websocket', 'sec-websocket-key', key];
}

function commonFields({ authority, fields, cookie }: Request): string[] {
  const all = fields.flatMap(({ name, value }) => [name, value]);
  return ['host', authority, ...all, ...(cookie === '' ? [] : ['cookie', cookie])];
}
