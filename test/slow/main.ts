/**
 * `npm run test:slow`: slow clients, floods and crowds against the proxy, and what a visitor notices of them. It runs
 * in its own namespaces, which end with its first process: so each attacker can have its own address, and nothing is
 * left behind.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { spawn } from 'node:child_process';
import { mustRun } from '../../installer/stack/run-program.ts';
import { EdgeSettings } from '../../protocol/edge.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { EngineName } from '../harness/edge-process.ts';
import { exitCodeOf } from '../harness/script.ts';
import { uuid } from '../integration/proxy/harness.ts';
import { gather } from './crowd.ts';
import { judged } from './judgement.ts';
import type { Part, Trouble } from './judgement.ts';
import { attack, MODES, RAMP_SECONDS } from './modes.ts';
import type { Mode } from './modes.ts';
import { VisitorProcess } from './visitor-process.ts';

const PARTS = [...(Object.keys(MODES) as Mode[]), 'flood', 'idle'] as const;
const HELP = `npm run test:slow -- [options]
  --connections N   of each of slowhttptest's modes (default 4000)
  --idle N          idle keep-alive connections (default 10000)
  --flood N         connections that one address tries to open (default 6000)
  --engine NAME     fast or http-proxy (default fast)
  --seconds N       of each measurement (default 5)
  --rounds N        quiet and not, in turn; the medians count (default 3)
  --parts A,B       some of: ${PARTS.join(' ')} (default all)
Needs root. Prints a line per part, and last a line of JSON. Exit code 1 when a bar is missed, or
when the attackers did not reach the proxy.`;

/** A separate network, and a process tree in which nothing outlives its first process. */
const NAMESPACES = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Set in the process inside the namespace. */
const INSIDE = 'ORKESTR_SLOW_INSIDE';
/** Descriptors of a process: 10,000 idle connections, or two for each of 4,000 through the proxy. */
const DESCRIPTORS = 12_000;
/** Addresses of the attackers, from the range reserved for benchmarks (RFC 2544). */
const ADDRESSES = Array.from({ length: 8 }, (_, index) => `198.18.77.${index + 1}`);
const VISITED = 'visited.test';
/** The environment that the attackers use. */
const ATTACKED = uuid(2);
const GET = `GET /small HTTP/1.1\r\nHost: ${VISITED}\r\n\r\n`;
/** The proxy has a processor to itself if there are several; the visitor has priority on the rest. */
const PROXY_CPU = '0';
/** After an attack, time for connections to be dropped, ms. */
const SETTLE_MS = 1500;

interface Bed {
  readonly edge: EdgeProcess;
  readonly visitor: VisitorProcess;
  readonly seconds: number;
}

/** Attackers at work. */
interface Attackers extends Pick<Trouble, 'kind' | 'asked'> {
  /** Their connections that have reached the proxy and, of a crowd, are open still. */
  reached(): Promise<number>;
  end(): Promise<void>;
}

/** Runs the same program in new namespaces, with enough descriptors. */
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
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
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
    const begin = (name: (typeof PARTS)[number]): Promise<Attackers> => {
      if (name === 'flood') return crowd(bed, name, { addresses: ADDRESSES.slice(0, 1), asked: flood, first: '' });
      if (name === 'idle') return crowd(bed, name, { addresses: ADDRESSES, asked: idle, first: GET });
      return slowClients(bed, name, connections);
    };
    const parts: Record<string, Part> = {};
    for (const name of PARTS.filter((part) => values.parts.split(',').includes(part))) {
      parts[name] = await measure(bed, Number(values.rounds), () => begin(name));
      console.log(`${name}: ${JSON.stringify(parts[name])}`);
    }
    const ok = Object.values(parts).every((part) => part.ok);
    console.log(JSON.stringify({ engine, ok, parts, asked: { connections, idle, flood } }));
    return ok ? 0 : 1;
  });
}

/** Time that a process's main thread spent on a processor and waiting for one, ms: schedstat of proc(5). */
function processorTimes(pid: number): { readonly busyMs: number; readonly waitedMs: number } {
  const [busy = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return { busyMs: busy / 1e6, waitedMs: waited / 1e6 };
}

/** @param begin starts the trouble */
async function measure(bed: Bed, rounds: number, begin: () => Promise<Attackers>): Promise<Part> {
  const { edge, visitor, seconds } = bed;
  const errand = { port: edge.port, host: VISITED, seconds };
  const before = edge.residentBytes;
  let peak = before;
  const watch = setInterval(() => {
    if (edge.running) peak = Math.max(peak, edge.residentBytes);
  }, 200);
  const sums = { failed: 0, claims: 0, overflows: 0, busyMs: 0, waitedMs: 0, tookMs: 0 };
  const [quiet, ramp, during]: [number[], number[], number[]] = [[], [], []];
  const left: number[] = [];
  const troubles: Trouble[] = [];
  try {
    for (let number = 0; number < rounds; number += 1) {
      quiet.push((await visitor.visit(errand)).p99Ms);
      const [times, overflows, began] = [processorTimes(edge.pid), listenOverflows(), performance.now()];
      const attackers = await begin();
      try {
        // The proxy soon answers those of a flood that it let in, because they are silent.
        const atOnce = await attackers.reached();
        const first = await visitor.visit({ ...errand, seconds: RAMP_SECONDS + 1 });
        const reached = attackers.kind === 'flood' ? atOnce : await attackers.reached();
        const then = await visitor.visit(errand);
        troubles.push({ kind: attackers.kind, asked: attackers.asked, reached, left: await attackers.reached() });
        ramp.push(first.p99Ms);
        during.push(then.p99Ms);
        sums.failed += first.failed + then.failed;
      } finally {
        await attackers.end();
      }
      if (!edge.running) throw new Error(`the proxy has ended:\n${edge.lastLines().join('\n')}`);
      const after = processorTimes(edge.pid);
      sums.overflows += listenOverflows() - overflows;
      sums.tookMs += performance.now() - began;
      sums.busyMs += after.busyMs - times.busyMs;
      sums.waitedMs += after.waitedMs - times.waitedMs;
      sums.claims += await claimsLeft(edge);
      await pause(SETTLE_MS);
      left.push(megabytes(edge.residentBytes));
    }
  } finally {
    clearInterval(watch);
  }
  console.log(
    `  p99 by rounds, ms: quiet ${quiet.join(' ')}, ramp ${ramp.join(' ')}, held ${during.join(' ')}; MB left after each: ${left.join(' ')}`,
  );
  return judged({
    quietP99Ms: median(quiet),
    rampP99Ms: median(ramp),
    p99Ms: median(during),
    failed: sums.failed,
    rssMB: megabytes(before),
    peakRssMB: megabytes(peak),
    claims: sums.claims,
    overflows: sums.overflows,
    busyPercent: Math.round((100 * sums.busyMs) / sums.tookMs),
    waitedPercent: Math.round((100 * sums.waitedMs) / sums.tookMs),
    troubles,
  });
}

/** For this network namespace: TcpExt of proc(5). */
function listenOverflows(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'));
  return Number(values.split(' ')[names.split(' ').indexOf('ListenOverflows')]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Puts all threads of the proxy on one processor, and this process with all its future children on the others. */
async function keepApart(pid: number): Promise<void> {
  // Other work on the machine is not part of the attack.
  setPriority(pid, -10);
  const last = availableParallelism() - 1;
  if (last === 0) return;
  await mustRun('taskset', ['taskset', '-acp', PROXY_CPU, String(pid)]);
  await mustRun('taskset', ['taskset', '-acp', `1-${last}`, String(process.pid)]);
}

async function slowClients({ edge, seconds }: Bed, mode: Mode, asked: number): Promise<Attackers> {
  const before = await seenOf(edge);
  const end = attack({ mode, addresses: ADDRESSES, port: edge.port, connections: asked, seconds: seconds + 60 });
  return { kind: 'slow', asked, reached: async () => (await seenOf(edge)) - before, end };
}

/** Connections that are open, and requests of the attackers that have ended: those for ranges end at once. */
async function seenOf(edge: EdgeProcess): Promise<number> {
  const metrics = await edge.metrics();
  const sum = (series: RegExp): number =>
    [...metrics.matchAll(series)].reduce((all, [, value]) => all + Number(value), 0);
  const ended = new RegExp(`^orkestr_proxy_requests_total\\{upstream="${ATTACKED}",[^}]*\\} (\\d+)$`, 'gm');
  return sum(/^orkestr_proxy_connections (\d+)$/gm) + sum(ended);
}

interface CrowdPlan {
  readonly addresses: readonly string[];
  readonly asked: number;
  /** What each connection sends first. */
  readonly first: string;
}

async function crowd(
  { edge }: Bed,
  kind: 'flood' | 'idle',
  { addresses, asked, first }: CrowdPlan,
): Promise<Attackers> {
  const people = await gather(edge.port, addresses, asked, first);
  return {
    kind,
    asked,
    reached: () => Promise.resolve(people.open),
    end: () => Promise.resolve(people.close()),
  };
}

/** Claims still in flight ten seconds after their clients have gone. */
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
  // An app under attack is slow by itself, so the visitor uses another one.
  const apps = [startApp(), startApp()];
  try {
    const [visited = 0, attacked = 0] = await Promise.all(apps.map(portOf));
    const env = { ORKESTR_PROXY_LISTEN: '0.0.0.0:0', ORKESTR_PROXY_ACCESS_LOG: 'errors' };
    const edge = await EdgeProcess.start({ name: 'proxy', folder, engine, env });
    await keepApart(edge.pid);
    const visitor = new VisitorProcess();
    try {
      await edge.flip({ entry: entryFor(1, visited, [VISITED]), expectedGeneration: 0 });
      await edge.flip({ entry: entryFor(2, attacked, ADDRESSES), expectedGeneration: 0 });
      // The first scrape starts a measurement in the proxy, which quiet values must include.
      await edge.metrics();
      // Compiles code and fills pools, so that the first quiet value is valid.
      await visitor.visit({ port: edge.port, host: VISITED, seconds: 3 });
      return await work({ edge, visitor, seconds });
    } finally {
      visitor.close();
      await edge.stop();
    }
  } finally {
    await Promise.all(apps.map((app) => app.terminate()));
    rmSync(folder, { recursive: true, force: true });
  }
}

const startApp = (): Worker => new Worker(new URL('app.ts', import.meta.url));

const portOf = (app: Worker): Promise<number> =>
  new Promise((resolve, reject) => {
    app.once('message', resolve);
    app.once('error', reject);
  });

const entryFor = (number: number, port: number, hosts: readonly string[]) => ({
  id: uuid(number),
  generation: 1,
  targets: [{ id: uuid(1000 + number), address: '127.0.0.1', port }],
  routes: hosts.map((host) => ({ host, pathPrefix: '/' })),
  edge: EdgeSettings.parse({}),
});

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

process.exitCode = await exitCodeOf(main);
