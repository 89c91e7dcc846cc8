/** A proxy as a process of its own, with its admin API: for suites that measure it, attack it or kill it. */
import { mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { ROOT } from '../../installer/stack/stack.ts';
import { Service } from '../../installer/stack/service.ts';
import { TableView } from '../../protocol/proxy-admin.ts';
import type { FlipRequest } from '../../protocol/proxy-admin.ts';

export type EngineName = 'fast' | 'http-proxy';

export interface EdgeSettings {
  readonly name: string;
  /** Holds socket, state and log; the caller makes and removes it. */
  readonly folder: string;
  readonly engine: EngineName;
  /** More of the proxy's settings, as environment variables. */
  readonly env?: NodeJS.ProcessEnv;
}

export class EdgeProcess {
  readonly port: number;
  readonly #service: Service;
  readonly #socket: string;

  private constructor(service: Service, port: number, socket: string) {
    this.#service = service;
    this.port = port;
    this.#socket = socket;
  }

  static async start({ name, folder, engine, env = {} }: EdgeSettings): Promise<EdgeProcess> {
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, 'admin.sock');
    const service = await Service.start({
      name,
      argv: [process.execPath, join(ROOT, 'proxy', 'main.ts'), 'serve'],
      env: {
        ...process.env,
        ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
        ORKESTR_PROXY_SOCKET: socket,
        ORKESTR_PROXY_STATE: join(folder, 'state'),
        ORKESTR_PROXY_ENGINE: engine,
        ...env,
      },
      logFile: join(folder, 'proxy.log'),
    });
    const url = new URL(await service.url());
    return new EdgeProcess(service, Number(url.port), socket);
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

  /** Its last lines, as evidence of its end. */
  lastLines(): string[] {
    return this.#service.lastLines();
  }

  async flip(flip: FlipRequest): Promise<void> {
    await this.#call('POST', '/v1/flip', JSON.stringify(flip));
  }

  async table(): Promise<TableView> {
    return TableView.parse(JSON.parse(await this.#call('GET', '/v1/table')));
  }

  async stop(): Promise<void> {
    await this.#service.stop(1000);
  }

  #call(method: string, path: string, body?: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const req = request({ socketPath: this.#socket, method, path, timeout: 10_000 }, (res) => {
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
