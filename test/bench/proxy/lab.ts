/** The environment of a bench: two cores, a temporary folder, a certificate, and an nginx that serves the bodies. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../../../installer/stack/run-program.ts';
import { freePort } from '../../harness/free-port.ts';
import { ServerProcess } from './server-process.ts';
import type { ServerCommand } from './server-process.ts';
import { untilListening } from './wait.ts';

/** The name that every client requests. It resolves without DNS, and the certificate covers it. */
export const HOST = 'localhost';
export const GIBIBYTE = 1024 ** 3;

/** Size of each body in bytes, by path. */
export const BODIES = { '/1k': 1024, '/64k': 65_536, '/1g': GIBIBYTE } as const;

interface Certificate {
  readonly folder: string;
  readonly crt: string;
  readonly key: string;
  /** Certificate and key in one file. */
  readonly pem: string;
}

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'ork-bench-'));
  /** One core for the proxy under test, and one for everything else. */
  readonly cpus = pickCpus(readFileSync('/proc/self/status', 'utf8'));
  readonly #servers: ServerProcess[] = [];
  #ready: Ready | null = null;

  /** @throws Error when the environment cannot be set up; call `close` then too */
  async open(): Promise<this> {
    const certificate = await makeCertificate(join(this.folder, 'certificates'));
    const digests = makeBodies(join(this.folder, 'bodies'));
    this.#ready = { certificate, digests, upstreamPort: await startUpstream(this) };
    return this;
  }

  get certificate(): Certificate {
    return this.#opened.certificate;
  }

  /** Port on 127.0.0.1 of the nginx that serves the bodies. */
  get upstreamPort(): number {
    return this.#opened.upstreamPort;
  }

  /** SHA-256 of the small bodies, hex, by path. */
  get digests(): Readonly<Record<string, string>> {
    return this.#opened.digests;
  }

  /** Starts a server that does not outlive the lab. */
  start(command: ServerCommand): ServerProcess {
    const server = new ServerProcess(command);
    this.#servers.push(server);
    return server;
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #opened(): Ready {
    if (this.#ready === null) throw new Error('The lab is not open.');
    return this.#ready;
  }
}

interface Ready {
  readonly certificate: Certificate;
  readonly digests: Readonly<Record<string, string>>;
  readonly upstreamPort: number;
}

/**
 * The first two cores that this process may use.
 * @param status text of /proc/self/status
 * @throws Error on a machine with one core, where proxy and load would take each other's time
 */
export function pickCpus(status: string): { readonly proxy: number; readonly load: number } {
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? '';
  const cpus = list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  const [proxy, load] = cpus;
  if (proxy === undefined || load === undefined) throw new Error('The bench needs two cores.');
  return { proxy, load };
}

async function makeCertificate(folder: string): Promise<Certificate> {
  mkdirSync(folder, { mode: 0o700 });
  const [crt, key, pem] = [join(folder, `${HOST}.crt`), join(folder, `${HOST}.key`), join(folder, '..', 'both.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '30'];
  const subject = ['-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST},IP:127.0.0.1`];
  await mustRun('openssl', ['openssl', 'req', '-x509', ...kind, ...subject, '-out', crt, '-keyout', key]);
  writeFileSync(pem, readFileSync(crt, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  return { folder, crt, key, pem };
}

/** Letters for the small bodies; the gibibyte is a sparse file, since nobody looks at it. */
function makeBodies(folder: string): Record<string, string> {
  mkdirSync(folder);
  const digests: Record<string, string> = {};
  for (const path of ['/1k', '/64k'] as const) {
    const body = Buffer.from(Array.from({ length: BODIES[path] }, (_, index) => 97 + ((index * 7) % 26)));
    writeFileSync(join(folder, path), body);
    digests[path] = createHash('sha256').update(body).digest('hex');
  }
  writeFileSync(join(folder, '/1g'), '');
  truncateSync(join(folder, '/1g'), BODIES['/1g']);
  return digests;
}

/** @returns its port */
async function startUpstream(lab: Lab): Promise<number> {
  const home = join(lab.folder, 'upstream');
  mkdirSync(home);
  const port = await freePort();
  const file = join(home, 'nginx.conf');
  writeFileSync(file, upstreamConfig(home, join(lab.folder, 'bodies'), port));
  const argv = ['nginx', '-c', file, '-p', home] as const;
  const server = lab.start({ name: 'upstream', argv, cpu: lab.cpus.load, logFile: join(home, 'log') });
  await untilListening(server, [port]);
  return port;
}

/** Directives that let our nginx run beside others: no daemon, no privileged user, files in its own folder. */
export function nginxPreamble(home: string, connections: number): string {
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log warn;
events { worker_connections ${connections}; }`;
}

export const nginxTemporary = (home: string): string =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`).join(' ');

function upstreamConfig(home: string, bodies: string, port: number): string {
  return `${nginxPreamble(home, 8192)}
http {
  ${nginxTemporary(home)}
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; default_type application/octet-stream;
  keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0;
  open_file_cache max=10; open_file_cache_valid 1h;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${bodies};
    location = /post { default_type text/plain; return 200 "taken\\n"; }
    location = /echo {
      default_type text/plain;
      return 200 "$http_x_forwarded_for|$http_x_forwarded_proto|$http_x_forwarded_host|$http_host";
    }
  }
}
`;
}
