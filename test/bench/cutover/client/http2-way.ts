/** HTTP/2 over TLS, on a few connections. */
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import type { Dialer } from './dialer.ts';
import { SILENCE_MS } from './ways.ts';
import type { Ask, Receiver, Way } from './ways.ts';

/** Connections of one client. */
const SESSIONS = 4;
/** As large as in browsers: with the protocol's 64 KiB, the client would be the bottleneck. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 8 * STREAM_WINDOW_BYTES;

export class Http2Way implements Way {
  readonly name = 'h2';
  readonly #dialer: Dialer;
  readonly #sessions: ClientHttp2Session[] = [];
  #turn = 0;

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  send({ method, path, headers, body, patient = false }: Ask, receiver: Receiver): void {
    const head = { ':method': method, ':path': path, ':authority': this.#dialer.host, ...headers };
    const stream = this.#session().request(head, { endStream: body === undefined });
    receive(stream, receiver);
    if (!patient) stream.setTimeout(SILENCE_MS, () => stream.destroy(new Error('silence')));
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
    const session = connect(`https://${this.#dialer.host}`, {
      createConnection: () => this.#dialer.dialTls('h2'),
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
  // A stream that was reset also closes; the code tells the difference.
  stream.once('close', () => {
    const reset = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted ? null : `reset ${stream.rstCode}`;
    if (fault === null && reset === null) receiver.end();
    else receiver.error(fault ?? new Error(reset ?? ''));
  });
}
