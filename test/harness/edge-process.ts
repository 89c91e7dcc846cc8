/** A proxy as a separate process, with its admin API: for suites that measure, attack or kill it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { buildProxy } from '../../installer/prepare/proxy-bundle.ts';
import { ALLOCATOR } from '../../installer/stack/allocator.ts';
import { proxyArgv, ROOT } from '../../installer/stack/stack.ts';
import { Service } from '../../installer/stack/service.ts';
import { DrainAnswer, FlipAnswer, HandOverAnswer, TableView } from '../../protocol/proxy-admin.ts';
import type { DrainRequest, FlipRequest, HandOverRequest } from '../../protocol/proxy-admin.ts';

export type EngineName = 'fast' | 'http-proxy';

interface EdgeSettings {
  readonly name: string;
  /** For socket, state and log; the caller removes it. */
  readonly folder: string;
  readonly engine: EngineName;
  /** The program to start instead of these sources, e.g. a release's. */
  readonly argv?: readonly [string, ...string[]];
  /** Further settings of the proxy, as environment variables. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Where clients reach it. */
interface EdgeUrls {
  readonly http: string;
  /** Null if it serves no TLS. */
  readonly https: string | null;
}

/** Logged once it serves. */
const Listening = z.object({ url: z.url(), urls: z.array(z.url()) });
/** Longest wait for a response of the admin API, ms; a drain adds its own deadlines. */
const ADMIN_MS = 10_000;
const HAND_OVER_MS = 60_000;

export class EdgeProcess {
  readonly port: number;
  readonly urls: EdgeUrls;
  readonly #service: Service;
  readonly #socket: string;

  private constructor(service: Service, urls: EdgeUrls, socket: string) {
    this.#service = service;
    this.urls = urls;
    this.port = Number(new URL(urls.http).port);
    this.#socket = socket;
  }

  static async start({ name, folder, engine, argv, env = {} }: EdgeSettings): Promise<EdgeProcess> {
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, 'admin.sock');
    if (argv === undefined) await buildProxy(ROOT, () => undefined);
    const service = await Service.start({
      name,
      argv: argv ?? [...proxyArgv(), 'serve'],
      env: {
        ...process.env,
        ...ALLOCATOR,
        ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
        ORKESTR_PROXY_SOCKET: socket,
        ORKESTR_PROXY_STATE: join(folder, 'state'),
        ORKESTR_PROXY_ENGINE: engine,
        ...env,
      },
      logFile: join(folder, 'proxy.log'),
    });
    const { url, urls } = Listening.parse(await service.waitFor('listening'));
    const https = urls.find((other) => other.startsWith('https:')) ?? null;
    return new EdgeProcess(service, { http: url, https }, socket);
  }

  get pid(): number {
    return this.#service.identity.pid;
  }

  get running(): boolean {
    return this.#service.running;
  }

  /** Resident memory, bytes. */
  get residentBytes(): number {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1];
    return Number(kib) * 1024;
  }

  get logFile(): string {
    return this.#service.logFile;
  }

  /** Its last log lines, as evidence of its end. */
  lastLines(): string[] {
    return this.#service.lastLines();
  }

  async flip(flip: FlipRequest): Promise<FlipAnswer> {
    return FlipAnswer.parse(JSON.parse(await this.#call('POST', '/v1/flip', JSON.stringify(flip))));
  }

  /** Resolves when the drain is over. */
  async drain(drain: DrainRequest): Promise<DrainAnswer> {
    const { deadlineSeconds, streamDeadlineSeconds, spreadSeconds } = drain;
    const longest = (Math.max(deadlineSeconds, streamDeadlineSeconds) + spreadSeconds) * 1000 + ADMIN_MS;
    return DrainAnswer.parse(JSON.parse(await this.#call('POST', '/v1/drain', JSON.stringify(drain), longest)));
  }

  /** Starts a successor, which takes over its connections; this process then ends. @returns the successor's pid */
  async handOver(successor: HandOverRequest): Promise<number> {
    const answer = await this.#call('POST', '/v1/hand-over', JSON.stringify(successor), HAND_OVER_MS);
    return HandOverAnswer.parse(JSON.parse(answer)).pid;
  }

  async table(): Promise<TableView> {
    return TableView.parse(JSON.parse(await this.#call('GET', '/v1/table')));
  }

  /** In Prometheus' text format. */
  metrics(): Promise<string> {
    return this.#call('GET', '/v1/metrics');
  }

  async stop(): Promise<void> {
    await this.#service.stop(1000);
  }

  #call(method: string, path: string, body?: string, timeout = ADMIN_MS): Promise<string> {
    return new Promise((resolve, reject) => {
      const req = request({ socketPath: this.#socket, method, path, timeout }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        res.once('error', reject);
        res.once('end', () =>
          res.statusCode === 200 ? resolve(text) : reject(new Error(`${method} ${path}: ${res.statusCode} ${text}`)),
        );
      });
      req.once('timeout', () => req.destroy(new Error(`${method} ${path}: no answer`)));
      req.once('error', reject);
      req.end(body);
    });
  }
}
