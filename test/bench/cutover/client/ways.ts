/** The ways to the proxy: HTTP/1.1 in cleartext and TLS, on kept and on new connections, and HTTP/2. */
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';

/** Longest silence in a request, ms. */
const SILENCE_MS = 10_000;
/** Connections of one HTTP/2 client. */
const SESSIONS = 4;
/** As much as browsers let come: with the 64 KiB of the protocol the client would be what is measured. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * STREAM_WINDOW_BYTES;

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A buffer is sent with its length, chunks as they come without. */
  readonly body?: Buffer | AsyncIterable<Buffer>;
  /** Events may be far between: silence is no fault. */
  readonly patient?: boolean;
}

export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Who is told what comes. Nothing follows `end` and `error`. */
export interface Receiver {
  head(status: number, headers: AnswerHeaders): void;
  /** @returns how long to read nothing, ms */
  data(part: Buffer): number;
  end(): void;
  error(error: Error): void;
}

export interface Way {
  readonly name: string;
  send(ask: Ask, receiver: Receiver): void;
  close(): void;
}

export interface Destination {
  readonly http: string;
  readonly https: string | null;
  readonly host: string;
  /** PEM. */
  readonly ca: string;
}

/** HTTP/1.1 by undici. */
export class Http1Way implements Way {
  readonly name: string;
  readonly #pool: Pool;
  readonly #host: string;

  constructor({ http, https, host, ca }: Destination, { tls, kept }: { tls: boolean; kept: boolean }) {
    this.name = `${kept ? 'kept' : 'new'} ${tls ? 'https' : 'http'}`;
    this.#host = host;
    this.#pool = new Pool(tls ? (https ?? '') : http, {
      // 0: each request has a connection of its own.
      pipelining: kept ? 1 : 0,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      allowH2: false,
      ...(tls ? { connect: { ca, servername: host } } : {}),
    });
  }

  send({ method, path, headers, body }: Ask, receiver: Receiver): void {
    const content = body === undefined || Buffer.isBuffer(body) ? body : Readable.from(body, { objectMode: false });
    const options: Dispatcher.DispatchOptions = { method, path, headers: { ...headers, host: this.#host } };
    this.#pool.dispatch(content === undefined ? options : { ...options, body: content }, handlerOf(receiver));
  }

  close(): void {
    void this.#pool.destroy();
  }
}

function handlerOf(receiver: Receiver): Dispatcher.DispatchHandler {
  return {
    onRequestStart: () => undefined,
    onResponseStart: (_controller, status, headers) => receiver.head(status, headers),
    onResponseData: (controller, part) => {
      const pauseMs = receiver.data(part);
      if (pauseMs === 0) return;
      controller.pause();
      setTimeout(() => controller.resume(), pauseMs);
    },
    onResponseEnd: () => receiver.end(),
    onResponseError: (_controller, error) => receiver.error(error),
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

  send({ method, path, headers, body, patient = false }: Ask, receiver: Receiver): void {
    const authority = this.#destination.host;
    const head = { ':method': method, ':path': path, ':authority': authority, ...headers };
    const stream = this.#session().request(head, { endStream: body === undefined });
    receive(stream, receiver);
    if (!patient) stream.setTimeout(SILENCE_MS, () => stream.close(constants.NGHTTP2_CANCEL));
    if (Buffer.isBuffer(body)) stream.end(body);
    else if (body) Readable.from(body, { objectMode: false }).pipe(stream);
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #session(): ClientHttp2Session {
    this.#turn = (this.#turn + 1) % SESSIONS;
    const usable = this.#sessions[this.#turn];
    if (usable && !usable.closed && !usable.destroyed) return usable;
    const { https, host, ca } = this.#destination;
    const session = connect(https ?? '', {
      ca,
      servername: host,
      settings: { initialWindowSize: STREAM_WINDOW_BYTES },
    });
    session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
    // Its streams fail with it, and they are what is counted.
    session.on('error', () => undefined);
    this.#sessions[this.#turn] = session;
    return session;
  }
}

function receive(stream: ClientHttp2Stream, receiver: Receiver): void {
  stream.once('response', ({ ':status': status, ...headers }) => receiver.head(Number(status), headers));
  stream.on('data', (part: Buffer) => {
    const pauseMs = receiver.data(part);
    if (pauseMs === 0) return;
    stream.pause();
    setTimeout(() => stream.resume(), pauseMs);
  });
  let fault: Error | null = null;
  stream.on('error', (error) => {
    fault = error;
  });
  // Also a stream that was reset ends; the code tells.
  stream.once('close', () => {
    const reset = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted ? null : `reset ${stream.rstCode}`;
    if (fault === null && reset === null) receiver.end();
    else receiver.error(fault ?? new Error(reset ?? ''));
  });
}
