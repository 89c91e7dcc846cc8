/** Debian's ACME test server `pebble` with its DNS server, on its own ports. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { makeCertificate } from './certificates.ts';
import { freePort } from './free-port.ts';

export interface Pebble {
  /** Its directory URL. */
  readonly directory: string;
  /** PEM file of the CA to trust for its https. */
  readonly caFile: string;
  /** PEM of the root that its certificates chain to. */
  readonly root: string;
  /** Address and port of its DNS server. */
  readonly dnsServer: string;
  /** Sets the addresses of a name in that DNS; none: the name does not exist. */
  setAddresses(host: string, addresses: readonly string[]): Promise<void>;
  /** Fetches its directory. */
  readDirectory(): Promise<object>;
  /** Number of orders it has accepted. */
  readonly orders: number;
  stop(): Promise<void>;
}

interface PebbleOptions {
  /** Folder for its files; the caller removes it. */
  readonly folder: string;
  /** Address of this machine on which its https listens; by default that of loopback. */
  readonly address?: string;
  /** Ports on which it validates challenges. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Port of its DNS server; by default a free one. */
  readonly dnsPort?: number;
}

const START_TIMEOUT_MS = 60_000;

export async function startPebble({
  folder,
  httpPort,
  tlsPort,
  address = '127.0.0.1',
  ...given
}: PebbleOptions): Promise<Pebble> {
  const [acmePort, managementPort, dnsManagementPort] = [await freePort(), await freePort(), await freePort()];
  const dnsPort = given.dnsPort ?? (await freePort());
  const own = await makeCertificate(folder, 'pebble', ['IP:127.0.0.1', `IP:${address}`]);
  const config = {
    listenAddress: `${address}:${acmePort}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: own.certFile,
    privateKey: own.keyFile,
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  };
  const configFile = join(folder, 'pebble.json');
  await writeFile(configFile, JSON.stringify({ pebble: config }));
  // It must respond to DNS only, and not resolve names that no test has set.
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv4', '', '-defaultIPv6', ''];
  const listen = ['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${dnsManagementPort}`];
  const dns = run('pebble-challtestsrv', [...listen, ...off]);
  // To a file: when a response has arrived, everything logged before it can be read.
  const logFile = join(folder, 'pebble.log');
  const output = openSync(logFile, 'w');
  const args = ['-config', configFile, '-dnsserver', `127.0.0.1:${dnsPort}`, '-strict'];
  const pebble = run('pebble', args, { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0' }, output);
  closeSync(output);
  const stop = async (): Promise<void> => {
    await Promise.all([end(pebble), end(dns)]);
  };
  try {
    const caFile = own.certFile;
    const agent = new Agent({ ca: await readFile(caFile) });
    const manage = async (path: string, body: object): Promise<void> => {
      const response = await fetch(`http://127.0.0.1:${dnsManagementPort}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`pebble-challtestsrv answered ${response.status} to ${path}`);
    };
    const directory = `https://${address}:${acmePort}/dir`;
    const [root] = await Promise.all([
      untilAnswer(() => get(`https://127.0.0.1:${managementPort}/roots/0`, agent)),
      untilAnswer(() => get(directory, agent)),
      untilAnswer(() => manage('/clear-a', { host: 'nobody.test' })),
    ]);
    return {
      directory,
      caFile,
      root,
      setAddresses: async (host, addresses) => {
        await manage('/clear-a', { host });
        if (addresses.length > 0) await manage('/add-a', { host, addresses });
      },
      dnsServer: `127.0.0.1:${dnsPort}`,
      readDirectory: async () => JSON.parse(await get(directory, agent)) as object,
      get orders() {
        return readFileSync(logFile, 'utf8').split('Added order').length - 1;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  output: number | 'ignore' = 'ignore',
): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', output, 'ignore'], env: { ...process.env, ...env } });
  // An interrupted test run does not reach its `after` hooks.
  const kill = (): unknown => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function untilAnswer<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      // Not up yet; at the deadline, the last reason is thrown.
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function get(url: string, agent: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const outgoing = request(url, { agent }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('end', () => resolve(text)).on('error', reject);
  });
  outgoing.on('error', reject).end();
  return promise;
}
