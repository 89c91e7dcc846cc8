/**
 * `npm run test:slow`: slow clients, floods and crowds against the proxy, and what a visitor notices of them. It runs in
 * namespaces of its own, which are gone with its first process: so each attacker can have an address of its own, and
 * nothing of it stays.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { spawn } from 'node:child_process';
import { mustRun } from '../../installer/stack/run-program.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { EngineName } from '../harness/edge-process.ts';
import { gather } from './crowd.ts';
import { attack, MODES } from './modes.ts';
import type { Mode } from './modes.ts';
import { round, visit } from './visitor.ts';
import type { Visit } from './visitor.ts';

const PARTS = [...(Object.keys(MODES) as Mode[]), 'flood', 'idle'] as const;
const HELP = `npm run test:slow -- [options]
  --connections N   of each of slowhttptest's modes (default 4000)
  --idle N          idle keep-alive connections (default 10000)
  --flood N         connections that one address tries to open (default 6000)
  --engine NAME     fast or http-proxy (default fast)
  --seconds N       of each measurement (default 8)
  --parts A,B       some of: ${PARTS.join(' ')} (default all)
Needs root. Prints a line per part, and last a line of JSON. Exit code 1 when a bar is missed.`;

/** A network of its own, and a process tree of which nothing outlives its first process. */
const NAMESPACES = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Says that this process is the one inside of the namespace. */
const INSIDE = 'ORKESTR_SLOW_INSIDE';
/** Descriptors of a process: 10,000 idle connections, or two for each of 4,000 through the proxy. */
const DESCRIPTORS = 12_000;
/** Addresses of the attackers, from the range that is set aside for benchmarks (RFC 2544). */
const ADDRESSES = Array.from({ length: 8 }, (_, index) => `198.18.77.${index + 1}`);
const VISITED = 'visited.test';
const GET = `GET /small HTTP/1.1\r\nHost: ${VISITED}\r\n\r\n`;
/** The bars: a visitor's p99 against its quiet value, and the growth of the proxy's memory. */
const SLOWER = 2;
const GROWTH_MB = 200;
/** Each part is measured up to so many times. */
const TRIES = 3;

interface Part {
  readonly quietP99Ms: number;
  readonly p99Ms: number;
  readonly ratio: number;
  readonly failed: number;
  readonly rssMB: number;
  readonly peakRssMB: number;
  /** In flight without a client, afterwards. */
  readonly claims: number;
  /** Of the proxy's main thread: on a processor, and waiting for one that others use. */
  readonly busyPercent: number;
  readonly waitedPercent: number;
  readonly ok: boolean;
}

interface Bed {
  readonly edge: EdgeProcess;
  readonly seconds: number;
}

/** The same program in new namespaces, with descriptors enough. */
function enterNamespaces(): Promise<number> {
  const inside: [string, ...string[]] = ['unshare', ...NAMESPACES, '--', process.execPath, ...process.argv.slice(1)];
  const more = ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`, '--'];
  const [program, ...args] = mostDescriptors() < DESCRIPTORS ? [...more, ...inside] : inside;
  const child = spawn(program ?? '', args, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** The hard limit; node raises the soft one to it by itself. */
function mostDescriptors(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '4000' },
      idle: { type: 'string', default: '10000' },
      flood: { type: 'string', default: '6000' },
      engine: { type: 'string', default: 'fast' },
      seconds: { type: 'string', default: '8' },
      parts: { type: 'string', default: PARTS.join() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (process.env[INSIDE] === undefined) return enterNamespaces();
  await mustRun('ip link', ['ip', 'link', 'set', 'lo', 'up']);
  for (const address of ADDRESSES) await mustRun('ip address', ['ip', 'address', 'add', `${address}/32`, 'dev', 'lo']);
  const engine: EngineName = values.engine === 'http-proxy' ? 'http-proxy' : 'fast';
  return withEdge(engine, Number(values.seconds), async (bed) => {
    const [connections, idle, flood] = [Number(values.connections), Number(values.idle), Number(values.flood)];
    const begin = (name: (typeof PARTS)[number]): Promise<() => Promise<void>> => {
      if (name === 'flood') return crowd(bed, ADDRESSES.slice(0, 1), flood, '');
      if (name === 'idle') return crowd(bed, ADDRESSES, idle, GET);
      return Promise.resolve(slowClients(bed, name, connections));
    };
    const parts: Record<string, Part> = {};
    for (const name of PARTS.filter((part) => values.parts.split(',').includes(part))) {
      parts[name] = await repeated(name, () => measure(bed, () => begin(name)));
    }
    const ok = Object.values(parts).every((part) => part.ok);
    console.log(JSON.stringify({ engine, ok, parts, asked: { connections, idle, flood } }));
    return ok ? 0 : 1;
  });
}

/** Noise of the machine only adds to a time: of several tries the smallest of each counts. */
async function repeated(name: string, once: () => Promise<Part>): Promise<Part> {
  let best = await once();
  for (let tries = 1; !best.ok && tries < TRIES; tries += 1) {
    console.log(`${name}: ${JSON.stringify(best)}, again`);
    best = better(best, await once());
  }
  console.log(`${name}: ${JSON.stringify(best)}`);
  return best;
}

function better(before: Part, now: Part): Part {
  const quietP99Ms = Math.min(before.quietP99Ms, now.quietP99Ms);
  const p99Ms = Math.min(before.p99Ms, now.p99Ms);
  return judged({ ...now, quietP99Ms, p99Ms });
}

function judged(part: Omit<Part, 'ratio' | 'ok'>): Part {
  const ratio = round(part.p99Ms / part.quietP99Ms);
  const ok = ratio <= SLOWER && part.failed === 0 && part.peakRssMB - part.rssMB <= GROWTH_MB && part.claims === 0;
  return { ...part, ratio, ok };
}

/** Time on and waiting for a processor of the threads of a process, ms: schedstat of proc(5). */
function processorTimes(pid: number): { readonly busyMs: number; readonly waitedMs: number } {
  const [busy = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return { busyMs: busy / 1e6, waitedMs: waited / 1e6 };
}

/** @param begin starts the trouble and gives back what ends it */
async function measure({ edge, seconds }: Bed, begin: () => Promise<() => Promise<void>>): Promise<Part> {
  const quiet = await visit(edge.port, VISITED, seconds);
  const before = edge.residentBytes;
  let peak = before;
  const watch = setInterval(() => {
    if (edge.running) peak = Math.max(peak, edge.residentBytes);
  }, 200);
  const [times, began] = [processorTimes(edge.pid), performance.now()];
  const end = await begin();
  let during: Visit;
  try {
    during = await visit(edge.port, VISITED, seconds);
  } finally {
    clearInterval(watch);
    await end();
  }
  const [after, took] = [processorTimes(edge.pid), performance.now() - began];
  if (!edge.running) throw new Error(`the proxy has ended:\n${edge.lastLines().join('\n')}`);
  const share = (ms: number): number => Math.round((100 * ms) / took);
  return judged({
    quietP99Ms: quiet.p99Ms,
    p99Ms: during.p99Ms,
    failed: during.failed,
    rssMB: megabytes(before),
    peakRssMB: megabytes(peak),
    claims: await claimsLeft(edge),
    busyPercent: share(after.busyMs - times.busyMs),
    waitedPercent: share(after.waitedMs - times.waitedMs),
  });
}

function slowClients({ edge, seconds }: Bed, mode: Mode, connections: number): () => Promise<void> {
  return attack({ mode, addresses: ADDRESSES, port: edge.port, connections, seconds: seconds + 60 });
}

async function crowd(
  { edge }: Bed,
  addresses: readonly string[],
  count: number,
  first: string,
): Promise<() => Promise<void>> {
  const people = await gather(edge.port, addresses, count, first);
  console.log(`  ${people.open} of ${count} connections are open`);
  return async () => {
    console.log(`  ${people.open} are open still`);
    people.close();
    await Promise.resolve();
  };
}

/** Claims that are in flight ten seconds after their clients have gone. */
async function claimsLeft(edge: EdgeProcess): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    const targets = (await edge.table()).upstreams.flatMap((upstream) => upstream.targets);
    const open = targets.reduce((sum, { inFlight }) => sum + inFlight, 0);
    if (open === 0 || tries === 100) return open;
    await pause(100);
  }
}

async function withEdge(engine: EngineName, seconds: number, work: (bed: Bed) => Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-slow-'));
  const app = new Worker(new URL('app.ts', import.meta.url));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      app.once('message', resolve);
      app.once('error', reject);
    });
    const env = { ORKESTR_PROXY_LISTEN: '0.0.0.0:0', ORKESTR_PROXY_ACCESS_LOG: 'errors' };
    const edge = await EdgeProcess.start({ name: 'proxy', folder, engine, env });
    try {
      await edge.flip({ entry: entryFor(port), expectedGeneration: 0 });
      // Compiled code and full pools, so that the first quiet value is one.
      await visit(edge.port, VISITED, 3);
      return await work({ edge, seconds });
    } finally {
      await edge.stop();
    }
  } finally {
    await app.terminate();
    rmSync(folder, { recursive: true, force: true });
  }
}

const entryFor = (port: number) => ({
  id: '01890a5d-ac96-774b-bcce-000000000001',
  generation: 1,
  targets: [{ id: '01890a5d-ac96-774b-bcce-000000001001', address: '127.0.0.1', port }],
  routes: [VISITED, ...ADDRESSES].map((host) => ({ host, pathPrefix: '/' })),
  edge: EdgeSettings.parse({}),
});

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

process.exitCode = await main();
