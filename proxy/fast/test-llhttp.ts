/** For tests: how node's own strict parser reads bytes, through the public API over in-memory streams. */
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Duplex } from 'node:stream';

export interface ReadMessage {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  /** Alternating names and values. */
  readonly fields: readonly string[];
  readonly body: string;
  /** True when the message arrived in full. */
  readonly complete: boolean;
}

export interface Reading {
  readonly messages: readonly ReadMessage[];
  /** The error code when the bytes are not valid HTTP. */
  readonly error: string | null;
}

class MemorySocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}

class Message {
  readonly #from: IncomingMessage;
  readonly #body: Buffer[] = [];

  constructor(from: IncomingMessage) {
    this.#from = from;
    from.on('data', (part: Buffer) => this.#body.push(part));
    // A message that breaks off has `complete` false, which is all that the tests check.
    from.on('error', () => undefined);
  }

  read(): ReadMessage {
    const { method, url, statusCode, rawHeaders, complete } = this.#from;
    const body = Buffer.concat(this.#body).toString('latin1');
    return { method: method ?? '', target: url ?? '', status: statusCode ?? 0, fields: rawHeaders, body, complete };
  }
}

/** Reads requests. One instance serves many readings. */
export class RequestReader {
  readonly #server: Server;
  #messages: Message[] = [];
  #error: string | null = null;

  constructor() {
    this.#server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: 65_536,
      // A request that asks for an upgrade is read as a plain request.
      shouldUpgradeCallback: () => false,
    });
    this.#server.maxHeadersCount = 0;
    const take = (req: IncomingMessage): void => void this.#messages.push(new Message(req));
    for (const event of ['request', 'checkContinue', 'checkExpectation', 'connect']) this.#server.on(event, take);
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      this.#error ??= error.code ?? error.message;
    });
  }

  async read(bytes: Buffer): Promise<Reading> {
    this.#messages = [];
    this.#error = null;
    const socket = new MemorySocket();
    this.#server.emit('connection', socket);
    socket.push(bytes);
    await settled();
    const reading = { messages: this.#messages.map((message) => message.read()), error: this.#error };
    socket.destroy();
    return reading;
  }
}

/**
 * Reads the responses to one request, from interim ones to the final one.
 * @param ended the connection ends after the bytes
 */
export async function readResponse(bytes: Buffer, method: string, ended: boolean): Promise<Reading> {
  const socket = new MemorySocket();
  const messages: Message[] = [];
  const interim: number[] = [];
  let error: string | null = null;
  const asked = request({ method, createConnection: () => socket, insecureHTTPParser: false });
  asked.on('response', (response) => messages.push(new Message(response)));
  asked.on('information', ({ statusCode }) => interim.push(statusCode));
  asked.on('upgrade', (response) => messages.push(new Message(response)));
  asked.on('error', (problem: NodeJS.ErrnoException) => {
    error ??= problem.code ?? problem.message;
  });
  asked.end();
  await settled();
  socket.push(bytes);
  if (ended) socket.push(null);
  await settled();
  const reading = { messages: messages.map((message) => message.read()), error };
  socket.destroy();
  asked.destroy();
  await settled();
  return reading;
}

/** In-memory streams deliver everything within a few turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
