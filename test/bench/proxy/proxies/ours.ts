/** Our proxy as its unit runs it: `orkestr-proxy serve`, configured through its admin socket. */
import { existsSync, mkdtempSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type * as ProxyBundle from '../../../../installer/prepare/proxy-bundle.ts';
import { ALLOCATOR } from '../../../../installer/stack/allocator.ts';
import type * as Stack from '../../../../installer/stack/stack.ts';
import { EdgeSettings } from '../../../../protocol/edge.ts';
import type { FlipRequest } from '../../../../protocol/proxy-admin.ts';
import { HOST } from '../lab.ts';
import { until } from '../wait.ts';
import type { RunningProxy, StartProxy } from './contract.ts';

/** Apps of a well-filled host: routing is a table lookup, as in production. */
const UPSTREAMS = 50;

export interface Build {
  /** Folder of the repository whose proxy is measured: this one, or another version's. */
  readonly checkout: string;
  /** Folder for a CPU profile of each process (node --cpu-prof), written when it ends. Profiling itself costs time. */
  readonly profiles: string | null;
}

/**
 * Access log, metrics and header rewriting are on, as by default.
 * @param appPort port of the app under load; default: the lab's upstream
 */
export function orkestr(
  engine: 'fast' | 'http-proxy',
  { checkout, profiles }: Build,
  appPort: number | null = null,
): StartProxy {
  const flags = profiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  return async (lab) => {
    const [node, ...program] = await programOf(checkout);
    const folder = mkdtempSync(join(lab.folder, `orkestr-${engine}-`));
    const socket = join(folder, 'admin.sock');
    const server = lab.start({
      name: `orkestr (${engine})`,
      argv: [node, ...flags, ...program, 'serve'],
      cpu: lab.cpus.proxy,
      logFile: join(folder, 'log'),
      env: {
        PATH: process.env['PATH'],
        ...ALLOCATOR,
        ORKESTR_PROXY_LISTEN: '127.0.0.1:0',
        ORKESTR_PROXY_LISTEN_TLS: '127.0.0.1:0',
        ORKESTR_PROXY_CERTIFICATES: lab.certificate.folder,
        ORKESTR_PROXY_ENGINE: engine,
        ORKESTR_PROXY_SOCKET: socket,
        ORKESTR_PROXY_STATE: join(folder, 'state'),
      },
    });
    const urls = await until('its listening line', server, () => listeningUrls(server.logFile));
    for (let number = 1; number <= UPSTREAMS; number += 1) {
      await call(socket, '/v1/flip', flipOf(number, appPort ?? lab.upstreamPort));
    }
    return { process: server, ports: portsOf(urls) };
  };
}

/** The command that starts a checkout's proxy: its bundle, built by its own recipe; its sources if it has no recipe. */
async function programOf(checkout: string): Promise<readonly [string, ...string[]]> {
  const recipe = join(checkout, 'installer/prepare/proxy-bundle.ts');
  if (!existsSync(recipe)) return [process.execPath, join(checkout, 'proxy/main.ts')];
  const { buildProxy } = (await import(recipe)) as typeof ProxyBundle;
  const { proxyArgv } = (await import(join(checkout, 'installer/stack/stack.ts'))) as typeof Stack;
  await buildProxy(checkout, () => undefined);
  return proxyArgv();
}

/** Null until the proxy has logged them. */
async function listeningUrls(logFile: string): Promise<readonly string[] | null> {
  const line = (await readFile(logFile, 'utf8')).split('\n').find((text) => text.includes('"msg":"listening"'));
  return line === undefined ? null : (JSON.parse(line) as { urls: string[] }).urls;
}

function portsOf(urls: readonly string[]): RunningProxy['ports'] {
  const portOf = (protocol: string): number | null => {
    const url = urls.map((text) => new URL(text)).find((found) => found.protocol === protocol);
    return url === undefined ? null : Number(url.port);
  };
  const http = portOf('http:');
  if (http === null) throw new Error(`The proxy names no http address: ${urls.join(' ')}`);
  return { http, https: portOf('https:') };
}

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${number.toString(16).padStart(12, '0')}`;

/** The last app gets the load; the others only fill the table. */
function flipOf(number: number, port: number): FlipRequest {
  const host = number === UPSTREAMS ? HOST : `app${number}.bench.test`;
  return {
    expectedGeneration: 0,
    entry: {
      id: uuid(number),
      generation: 1,
      targets: [{ id: uuid(1000 + number), address: '127.0.0.1', port }],
      routes: [{ host, pathPrefix: '/' }],
      // The host has a certificate, and cleartext is measured too.
      edge: EdgeSettings.parse({ https: 'off' }),
    },
  };
}

/** @throws Error with the response when it is not 200 */
async function call(socketPath: string, path: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', headers }, (res) => {
      text(res).then((read) => resolve({ status: res.statusCode ?? 0, body: read }), reject);
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(body));
  });
  if (answer.status !== 200) throw new Error(`POST ${path} was answered ${answer.status}: ${answer.body}`);
}
