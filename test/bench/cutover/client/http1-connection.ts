/**
 * A connection that speaks HTTP/1.1, one request after the other. It uses the socket directly, because the load takes
 * processor time from the machine whose proxy it measures.
 */
import type { Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';
import { SILENCE_MS } from './ways.ts';
import type { Ask, Receiver } from './ways.ts';

interface Http1Parts {
  /** It may still be connecting. */
  readonly socket: Socket;
  readonly host: string;
  /** False: for one request. */
  readonly isKept: boolean;
  /** Called when it can take another request. */
  readonly idle: () => void;
  readonly closed: () => void;
}

export class Http1Connection {
  readonly #parts: Http1Parts;
  readonly #socket: Socket;
  #receiver: Receiver | null = null;
  #reader: AnswerReader | null = null;
  #isSent = true;
  #fault: Error | null = null;
  #hasEnded = false;

  constructor(parts: Http1Parts) {
    this.#parts = parts;
    this.#socket = parts.socket;
    const { socket } = parts;
    socket.setTimeout(SILENCE_MS, () => socket.destroy(this.#receiver ? new Error('silence') : undefined));
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.once('end', () => this.#ended());
    socket.once('error', (error) => {
      this.#fault = error;
    });
    socket.once('close', () => this.#closed());
  }

  /** The connection must be new or idle. */
  send({ method, path, headers, body }: Ask, receiver: Receiver): void {
    this.#receiver = receiver;
    this.#reader = new AnswerReader(method === 'HEAD', receiver);
    const isWhole = body === undefined || Buffer.isBuffer(body);
    const framing = isWhole ? (body ? `content-length: ${body.length}\r\n` : '') : 'transfer-encoding: chunked\r\n';
    let head = `${method} ${path} HTTP/1.1\r\nhost: ${this.#parts.host}\r\n${framing}`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    head += this.#parts.isKept ? '\r\n' : 'connection: close\r\n\r\n';
    this.#isSent = isWhole;
    if (body === undefined) this.#socket.write(head, 'latin1');
    else if (isWhole) this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
    else void this.#sendChunks(head, body);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#hasEnded;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #sendChunks(head: string, body: AsyncIterable<Buffer>): Promise<void> {
    this.#socket.write(head, 'latin1');
    for await (const part of body) {
      if (this.#socket.destroyed) return;
      const size = Buffer.from(`${part.length.toString(16)}\r\n`, 'latin1');
      this.#socket.write(Buffer.concat([size, part, Buffer.from('\r\n', 'latin1')]));
    }
    this.#socket.write('0\r\n\r\n');
    this.#isSent = true;
    if (this.#reader?.isDone) this.#answered();
  }

  #read(bytes: Buffer): void {
    // An unsolicited response would be taken for the response to the next request, and no count could be trusted.
    if (!this.#reader) throw new Error(`bytes without a request: ${bytes.toString('latin1', 0, 80)}`);
    try {
      this.#take(this.#reader, bytes);
    } catch (error) {
      // A malformed response is reported to the requester once the connection has closed.
      this.#socket.destroy(error as Error);
    }
  }

  #take(reader: AnswerReader, bytes: Buffer): void {
    const pauseMs = reader.read(bytes);
    if (reader.isDone && this.#isSent) return this.#answered();
    if (pauseMs === 0) return;
    this.#socket.pause();
    setTimeout(() => this.#socket.resume(), pauseMs);
  }

  /** The response has arrived, and the whole request is sent. */
  #answered(): void {
    const keepsOn = this.#parts.isKept && this.#reader?.keepAlive;
    const receiver = this.#receiver;
    this.#receiver = null;
    this.#reader = null;
    if (keepsOn) this.#parts.idle();
    else this.#socket.destroy();
    receiver?.end();
  }

  #ended(): void {
    this.#hasEnded = true;
    if (this.#reader?.endsWithConnection && this.#isSent) this.#answered();
  }

  #closed(): void {
    const how = this.#hasEnded ? 'the connection was closed' : 'the connection broke';
    this.#receiver?.error(this.#fault ?? new Error(how));
    this.#receiver = null;
    this.#parts.closed();
  }
}
