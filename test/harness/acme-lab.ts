/** Debian's pebble, the listeners that it validates, and processes that request certificates from it. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { pino } from 'pino';
import { makeCertificate } from './certificates.ts';
import { startPebble } from './pebble.ts';
import type { Pebble } from './pebble.ts';
import { DEFAULT_TIMEOUTS } from '../../proxy/config.ts';
import { attachTls, secureServerOptions } from '../../proxy/tls/secure-server.ts';
import { startTls } from '../../proxy/tls/start.ts';
import type { Tls } from '../../proxy/tls/start.ts';
import type { TerminatorChange } from '../../proxy/tls/state.ts';
import { StaticTerminator } from '../../proxy/tls/static-terminator.ts';
import { resolveAddresses } from '../../proxy/tls/acme/open.ts';
import type { AcmeSettings } from '../../proxy/tls/acme/open.ts';

export const DAY_MS = 86_400_000;

interface Started {
  readonly tls: Tls;
  /** Its state folder. */
  readonly state: string;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
}

export class AcmeLab {
  readonly clock = {
    offset: 0,
    now: () => new Date(Date.now() + this.clock.offset),
    monotonic: () => performance.now(),
  };
  /** Answers the challenges. Updated like a worker process: by messages over IPC. */
  readonly worker = new StaticTerminator(this.clock);
  /** Handles a message over IPC in the worker. */
  receive: (change: TerminatorChange) => void = () => undefined;
  /** Requests to the listeners, and their kind. */
  readonly looked: string[] = [];
  /** All log lines, at the finest level. */
  logged = '';
  readonly folder: string;
  readonly #log = pino({ level: 'trace' }, { write: (line: string) => void (this.logged += line) });
  readonly #http: Server;
  readonly #https: tls.Server;
  #pebble: Pebble | null = null;

  private constructor(folder: string) {
    this.folder = folder;
    this.#http = createServer((request, response) => this.#answerHttp(request, response));
    this.#https = tls.createServer(secureServerOptions(this.worker, DEFAULT_TIMEOUTS, { alpn: ['http/1.1'] }));
    attachTls(this.#https, this.worker, DEFAULT_TIMEOUTS);
    this.#https.on('secureConnection', (socket) => {
      socket.on('error', () => {});
      this.looked.push(`tls ${socket.alpnProtocol}`);
      socket.end('hello');
    });
  }

  static async start(): Promise<AcmeLab> {
    const lab = new AcmeLab(await mkdtemp(join(tmpdir(), 'orkestr-acme-')));
    try {
      await Promise.all([lab.#http, lab.#https].map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
      const [httpPort, tlsPort] = [portOf(lab.#http), portOf(lab.#https)];
      lab.#pebble = await startPebble({ folder: lab.folder, httpPort, tlsPort });
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  async close(): Promise<void> {
    await this.#pebble?.stop();
    await Promise.all([this.#http, this.#https].map((server) => once(server.close(), 'close')));
    await rm(this.folder, { recursive: true, force: true });
  }

  get pebble(): Pebble {
    if (!this.#pebble) throw new Error('The lab has not started.');
    return this.#pebble;
  }

  /** Starts a primary process with its own state folder, or with the one that another process has left. */
  async start(t: TestContext, acme: Partial<AcmeSettings> = {}, state?: string): Promise<Started> {
    const { pebble, worker } = this;
    const stateDirectory = state ?? (await mkdtemp(join(this.folder, 'state-')));
    worker.update({ certificates: [], challenges: { http: {}, alpn: {} } });
    this.receive = (change) => worker.update(change);
    const started = await startTls(
      {
        stateDirectory,
        acme: {
          directories: [pebble.directory],
          caFile: pebble.caFile,
          httpPort: portOf(this.#http),
          publicAddresses: ['127.0.0.1'],
          ...acme,
        },
      },
      {
        log: this.#log,
        clock: this.clock,
        resolve: (host) => resolveAddresses(host, [pebble.dnsServer]),
        random: () => 0.5,
        // Like IPC: asynchronous, and by value.
        onChange: async (change) => {
          const sent = structuredClone(change);
          await new Promise(setImmediate);
          this.receive(sent);
        },
        lookMs: DAY_MS,
      },
    );
    t.after(() => started.close());
    t.after(() => {
      this.clock.offset = 0;
      this.looked.length = 0;
    });
    return { tls: started, state: stateDirectory };
  }

  /** Returns the certificate that a visitor gets, verified up to pebble's root. */
  async visit(host: string): Promise<tls.DetailedPeerCertificate> {
    const at = { port: portOf(this.#https), host: '127.0.0.1' };
    const socket = tls.connect({ ...at, servername: host, ca: this.pebble.root });
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerCertificate(true);
    socket.destroy();
    return certificate;
  }

  /** Starts a CA that forwards to pebble except for what `answer` returns: features and failures that pebble lacks. */
  async startFront(
    t: TestContext,
    directory: (own: string) => object,
    answer: (path: string, body: string) => Answer,
  ): Promise<{ directory: string; caFile: string }> {
    const { cert, key } = await makeCertificate(this.folder, 'front', ['IP:127.0.0.1']);
    const caFile = join(this.folder, 'front-and-pebble.pem');
    await writeFile(caFile, cert + (await readFile(this.pebble.caFile, 'utf8')));
    const server = createSecureServer({ cert, key });
    const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const sent = await text(request);
      const isDirectory = request.url === '/dir';
      const { status, headers, body } = isDirectory
        ? { status: 200, headers: {}, body: { ...pebbleDirectory, ...directory(own) } }
        : { headers: {}, ...answer(request.url ?? '', sent) };
      const contentType = status < 400 ? 'application/json' : 'application/problem+json';
      response.writeHead(status, { 'content-type': contentType, ...headers }).end(JSON.stringify(body));
    };
    server.on('request', (request, response) => void reply(request, response)).listen(0, '127.0.0.1');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server, 'listening');
    const own = `https://127.0.0.1:${portOf(server)}`;
    const pebbleDirectory = await this.pebble.readDirectory();
    return { directory: `${own}/dir`, caFile };
  }

  #answerHttp(request: IncomingMessage, response: ServerResponse): void {
    const token = /^\/\.well-known\/acme-challenge\/(.+)$/.exec(request.url ?? '')?.[1];
    const answer = token === undefined ? null : this.worker.httpChallenge(token);
    this.looked.push(`http ${request.headers.host?.split(':')[0]} ${request.headers['user-agent'] ?? 'probe'}`);
    response.writeHead(answer === null ? 404 : 200).end(answer);
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Resolves when everything due is done. */
export async function obtain({ tls }: Started, ...hosts: string[]): Promise<void> {
  tls.wanted(hosts);
  await tls.look();
}

/** Why a host has no certificate. */
export const reasonOf = ({ tls }: Started, host: string) => tls.view().missing.find((one) => one.host === host);
export const viewOf = ({ tls }: Started, host: string) => tls.view().certificates.find((one) => one.host === host);
