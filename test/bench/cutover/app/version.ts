/**
 * One version of the app: a listener on its own port. Every response names the version and the request it answers.
 * Bodies come with their hash, so that a client notices lost or foreign bytes.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { Payload } from './payload.ts';
import type { Pulse } from './pulse.ts';
import { RequestTimes } from './request-times.ts';
import type { Strays } from './request-times.ts';

/** Interval between two events of a stream, ms. */
const EVENT_MS = 500;
/** When a browser reconnects to a stream that has ended, ms. */
const COME_BACK_MS = 50;

/** What the versions of one process share. */
interface AppParts {
  readonly payload: Payload;
  readonly pulse: Pulse;
}

export type Handler = (req: IncomingMessage, res: ServerResponse, path: readonly string[]) => Promise<void> | void;

export class AppVersion {
  readonly #name: string;
  readonly #payload: Payload;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  readonly #times: RequestTimes;
  readonly #handlers: Readonly<Record<string, Handler>>;
  readonly #own: Readonly<Record<string, Handler>> = {
    fixed: (req, res, [bytes]) => this.#fixed(req, res, Number(bytes)),
    parts: (_req, res, [bytes, count, pauseMs]) => this.#parts(res, Number(bytes), Number(count), Number(pauseMs)),
    none: (req, res) => void this.#begin(req, res, 204).end(),
    hash: (req, res) => this.#hash(req, res),
    'hash-early': (req, res) => this.#hashEarly(req, res),
    events: (req, res) => this.#events(req, res),
  };

  /** @param more additional handlers, by the first part of their path */
  constructor(name: string, { payload, pulse }: AppParts, more: Readonly<Record<string, Handler>> = {}) {
    this.#name = name;
    this.#times = new RequestTimes(pulse);
    this.#handlers = { ...this.#own, ...more };
    this.#payload = payload;
    this.#server = createServer({ keepAliveTimeout: 30_000 }, (req, res) => this.#asked(req, res));
    this.#webSockets = new WebSocketServer({ server: this.#server, perMessageDeflate: false });
    this.#webSockets.on('connection', (socket, req) => this.#connected(socket, req));
  }

  /** @returns its port */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', 4096, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** Stops at once, like a killed process. @param flipped when the flip away from it was answered, ms */
  stop(flipped: number): Strays {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#webSockets.clients) socket.terminate();
    return this.#times.strays(flipped);
  }

  #asked(req: IncomingMessage, res: ServerResponse): void {
    this.#times.takeUp(req);
    const [, kind = '', ...path] = (req.url ?? '').split('?', 1)[0]?.split('/') ?? [];
    const handle = this.#handlers[kind];
    if (!handle) return void this.#begin(req, res, 404).end();
    Promise.resolve(handle(req, res, path)).catch((error: unknown) => {
      // The client counts missing responses; only errors other than the end of a connection are logged here.
      if (!res.destroyed) console.error(`app ${this.#name}: ${req.method} ${req.url}: ${String(error)}`);
      res.destroy();
    });
  }

  /** The head of a response; it is sent with the first bytes. */
  #begin(
    req: IncomingMessage,
    res: ServerResponse,
    status: number,
    headers: Record<string, string | number> = {},
  ): ServerResponse {
    const marks = { 'x-version': this.#name, 'x-answers': String(req.headers['x-asks'] ?? '') };
    return res.writeHead(status, { ...marks, ...headers });
  }

  #fixed(req: IncomingMessage, res: ServerResponse, bytes: number): void {
    const body = this.#payload.slice(bytes);
    this.#begin(req, res, 200, { 'content-length': bytes, 'x-sha256': this.#payload.hash(bytes) });
    res.end(req.method === 'HEAD' ? undefined : body);
  }

  async #parts(res: ServerResponse, bytes: number, count: number, pauseMs: number): Promise<void> {
    const body = this.#payload.slice(bytes);
    this.#begin(res.req, res, 200, { 'x-sha256': this.#payload.hash(bytes) });
    for (let part = 0; part < count && !res.destroyed; part += 1) {
      res.write(body.subarray(Math.floor((bytes * part) / count), Math.floor((bytes * (part + 1)) / count)));
      if (pauseMs > 0) await pause(pauseMs);
    }
    res.end();
  }

  async #hash(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const hash = await hashOf(req);
    this.#begin(req, res, 200, { 'content-length': hash.length }).end(hash);
  }

  /** Sends the head before the body has arrived, like apps that stream. */
  async #hashEarly(req: IncomingMessage, res: ServerResponse): Promise<void> {
    this.#begin(req, res, 200).flushHeaders();
    res.end(await hashOf(req));
  }

  #events(req: IncomingMessage, res: ServerResponse): void {
    this.#begin(req, res, 200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    let number = 0;
    const send = (): void => {
      number += 1;
      res.write(`id: ${number}\nretry: ${COME_BACK_MS}\ndata: version ${this.#name}\n\n`);
    };
    send();
    const timer = setInterval(send, EVENT_MS);
    res.once('close', () => clearInterval(timer));
  }

  #connected(socket: WebSocket, req: IncomingMessage): void {
    this.#times.takeUp(req);
    // A reset of the connection is followed by `close`; the client counts how it ended.
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.send(`version ${this.#name}`);
  }
}

async function hashOf(body: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
