/** The ways to the proxy: HTTP/1.1 in cleartext and TLS, on kept and on new connections, and HTTP/2. */
import { Agent, request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Agent as TlsAgent, request as requestHttps } from 'node:https';
import type { Readable, Writable } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { Wrong } from './tally.ts';

/** Longest silence in a request, ms. */
const SILENCE_MS = 10_000;
/** Connections of one HTTP/2 client. */
const SESSIONS = 4;

export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Writes the body and ends it; without it there is none. */
  readonly send?: (body: Writable) => Promise<void>;
  /** Events may be far between: silence is no fault. */
  readonly patient?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly body: Readable;
  /** Once the body ended: whether its end was said, by its framing or by a FIN, and not by a reset. */
  readonly ended: () => { readonly whole: boolean; readonly reset: boolean };
}

export interface Way {
  readonly name: string;
  ask(ask: Ask): Promise<Answer>;
  close(): void;
}

export interface Destination {
  readonly http: string;
  readonly https: string | null;
  readonly host: string;
  /** PEM. */
  readonly ca: string;
}

/** HTTP/1.1. */
export class Http1Way implements Way {
  readonly name: string;
  readonly #options: { readonly host: string; readonly port: string; readonly agent: Agent | false } & object;
  readonly #request: typeof requestHttp;
  readonly #host: string;

  constructor({ http, https, host, ca }: Destination, { tls, kept }: { tls: boolean; kept: boolean }) {
    const { hostname, port } = new URL(tls ? (https ?? '') : http);
    const secure: Pick<ConnectionOptions, 'ca' | 'servername'> = tls ? { ca, servername: host } : {};
    const keepAlive = { keepAlive: true, scheduling: 'lifo' } as const;
    const agent = kept ? (tls ? new TlsAgent(keepAlive) : new Agent(keepAlive)) : false;
    this.name = `${kept ? 'kept' : 'new'} ${tls ? 'https' : 'http'}`;
    this.#options = { host: hostname, port, agent, ...secure };
    this.#request = tls ? requestHttps : requestHttp;
    this.#host = host;
  }

  ask({ method, path, headers, send, patient = false }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = this.#request({ ...this.#options, method, path, headers: { ...headers, host: this.#host } }, (res) =>
        resolve(answerOf(res)),
      );
      req.on('error', reject);
      if (!patient) req.setTimeout(SILENCE_MS, () => req.destroy(new Error(`silent for ${SILENCE_MS} ms`)));
      sendBody(req, send);
    });
  }

  close(): void {
    if (this.#options.agent) this.#options.agent.destroy();
  }
}

function answerOf(res: IncomingMessage): Answer {
  // A reset is an error of the socket before it closes; node tells the response only that it was aborted.
  let fin = false;
  const { socket } = res;
  const sawEnd = (): void => {
    fin = true;
  };
  socket.once('end', sawEnd);
  res.once('end', () => socket.off('end', sawEnd));
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    body: res,
    ended: () => ({ whole: res.complete, reset: !res.complete && !fin }),
  };
}

/** HTTP/2 over TLS, on a few connections. */
export class Http2Way implements Way {
  readonly name = 'h2';
  readonly #destination: Destination;
  readonly #sessions: ClientHttp2Session[] = [];
  #turn = 0;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  ask({ method, path, headers, send, patient = false }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const authority = this.#destination.host;
      const head = { ':method': method, ':path': path, ':authority': authority, ...headers };
      const stream = this.#session().request(head, { endStream: !send });
      stream.once('response', (answered) =>
        resolve({
          status: Number(answered[':status']),
          headers: answered,
          body: stream,
          ended: () => endOf(stream),
        }),
      );
      stream.on('error', reject);
      stream.once('close', () => reject(new Wrong('failed', `the stream closed with ${stream.rstCode}`)));
      if (!patient) stream.setTimeout(SILENCE_MS, () => stream.close(constants.NGHTTP2_CANCEL));
      if (send) sendBody(stream, send);
    });
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #session(): ClientHttp2Session {
    this.#turn = (this.#turn + 1) % SESSIONS;
    const usable = this.#sessions[this.#turn];
    if (usable && !usable.closed && !usable.destroyed) return usable;
    const { https, host, ca } = this.#destination;
    const session = connect(https ?? '', { ca, servername: host });
    // Its streams fail with it, and they are what is counted.
    session.on('error', () => undefined);
    this.#sessions[this.#turn] = session;
    return session;
  }
}

function endOf(stream: ClientHttp2Stream): { whole: boolean; reset: boolean } {
  const whole = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted;
  return { whole, reset: !whole };
}

function sendBody(body: ClientRequest | ClientHttp2Stream, send: Ask['send']): void {
  if (!send) return void body.end();
  // A connection that broke says so itself.
  send(body).catch((error: unknown) => body.destroy(error as Error));
}
