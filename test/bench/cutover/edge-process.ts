/** The proxy as a real process, with its admin socket as the agent sees it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { DrainAnswer, FlipAnswer, TableView } from '../../../protocol/proxy-admin.ts';
import type { DrainRequest, FlipRequest } from '../../../protocol/proxy-admin.ts';
import { makeCertificate } from './certificate.ts';

const MAIN = fileURLToPath(new URL('../../../proxy/main.ts', import.meta.url));
/** Longest wait for a call of the admin API, ms: a drain ends at its deadline. */
const ADMIN_TIMEOUT_MS = 60_000;
const KEPT_LOG_LINES = 50;

const Listening = z.object({ msg: z.literal('listening'), urls: z.array(z.string()).min(1) });

/** Where clients find the proxy. */
export interface EdgeUrls {
  readonly http: string;
  /** Null: this proxy serves no TLS. */
  readonly https: string | null;
}

export interface EdgeOptions {
  /** Host names that get a certificate, all in one. */
  readonly hosts: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class EdgeProcess {
  readonly urls: EdgeUrls;
  /** PEM of the certificate that the proxy shows, which is its own CA. */
  readonly ca: string;
  /** The same as a file. */
  readonly caFile: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  /** The end of its log. */
  readonly #log: string[];

  /** Starts the proxy on ports of its own, in a folder of its own. */
  static async start({ hosts, env = {} }: EdgeOptions): Promise<EdgeProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'orkestr-edge-'));
    const certificates = join(folder, 'certificates');
    mkdirSync(certificates, { mode: 0o700 });
    const child: { process: ChildProcess | null } = { process: null };
    try {
      const ca = await makeCertificate(certificates, hosts);
      child.process = spawn(process.execPath, [MAIN, 'serve'], {
        env: {
          ...process.env,
          ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
          ORKESTR_PROXY_LISTEN_TLS: '127.0.0.1:0',
          ORKESTR_PROXY_CERTIFICATES: certificates,
          ORKESTR_PROXY_SOCKET: join(folder, 'admin.sock'),
          ORKESTR_PROXY_STATE: join(folder, 'state'),
          ORKESTR_PROXY_ACCESS_LOG: 'off',
          ...env,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const log: string[] = [];
      const urls = await listening(child.process, log);
      return new EdgeProcess(child.process, folder, urls, ca, log);
    } catch (error) {
      child.process?.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(
    child: ChildProcess,
    folder: string,
    urls: EdgeUrls,
    ca: { pem: string; file: string },
    log: string[],
  ) {
    this.#child = child;
    this.#folder = folder;
    this.urls = urls;
    this.ca = ca.pem;
    this.caFile = ca.file;
    this.#log = log;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get log(): readonly string[] {
    return this.#log;
  }

  table(): Promise<TableView> {
    return this.#call('GET', '/v1/table', null, TableView);
  }

  flip(flip: FlipRequest): Promise<FlipAnswer> {
    return this.#call('POST', '/v1/flip', flip, FlipAnswer);
  }

  drain(drain: DrainRequest): Promise<DrainAnswer> {
    return this.#call('POST', '/v1/drain', drain, DrainAnswer);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #call<T>(method: string, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const socketPath = join(this.#folder, 'admin.sock');
      const headers = { 'content-type': 'application/json' };
      const req = request({ socketPath, method, path, headers, timeout: ADMIN_TIMEOUT_MS }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (part: string) => (text += part));
        res.on('error', reject);
        res.on('end', () => {
          if (res.statusCode !== 200) return reject(new Error(`${method} ${path}: ${res.statusCode} ${text}`));
          const answer = schema.safeParse(JSON.parse(text));
          if (answer.success) resolve(answer.data);
          else reject(new Error(`${method} ${path}: ${answer.error.message}: ${text}`));
        });
      });
      req.on('timeout', () => req.destroy(new Error(`${method} ${path}: no answer`)));
      req.on('error', reject);
      req.end(body === null ? undefined : JSON.stringify(body));
    });
  }
}

/** Reads the log until the proxy says where it listens, and keeps the end of all that follows. */
function listening(child: ChildProcess, log: string[]): Promise<EdgeUrls> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`the proxy did not start (${signal ?? code}):\n${log.join('\n')}`)),
    );
    if (!child.stdout) return reject(new Error('the proxy has no output'));
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.push(line);
      if (log.length > KEPT_LOG_LINES) log.shift();
      const urls = urlsOf(line);
      if (urls) resolve(urls);
    });
  });
}

function urlsOf(line: string): EdgeUrls | null {
  if (!line.includes('"listening"')) return null;
  const { urls } = Listening.parse(JSON.parse(line));
  const http = urls.find((url) => url.startsWith('http:'));
  if (http === undefined) throw new Error(`the proxy serves no cleartext: ${line}`);
  return { http, https: urls.find((url) => url.startsWith('https:')) ?? null };
}
