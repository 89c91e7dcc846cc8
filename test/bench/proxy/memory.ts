/** Memory of a proxy: at rest, and what idle connections add. Each figure is from a freshly started process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import type { Lab } from './lab.ts';
import { wrk } from './load/wrk.ts';
import { probe } from './probe.ts';
import type { RunningProxy, StartProxy } from './proxies/contract.ts';
import { pinned } from './server-process.ts';

const IDLE_CONNECTIONS = 10_000;

const CLIENTS = fileURLToPath(new URL('load/idle-clients.ts', import.meta.url));
/** Time for memory to be given back after a load. */
const SETTLE_MS = 2000;
/** The same after a start: a busy process is checked every five seconds (protocol/service/tidy.ts). */
const REST_MS = 10_000;
/** Time for all connections to be answered. */
const OPEN_MS = 60_000;

/** Load before idle connections are counted, so that code and pools that any load brings are not attributed to them. */
const warmUp = wrk({ path: '/1k', answerBytes: 1024, connections: 64 });

export interface Memory {
  /** After the start, with its table and a few requests. */
  readonly restBytes: number;
  readonly idleBytesPerConnection: number;
}

export async function measureMemory(lab: Lab, start: StartProxy): Promise<Memory> {
  const proxy = await start(lab);
  try {
    await probe(lab, proxy);
    await sleep(REST_MS);
    const restBytes = proxy.process.residentBytes();
    await warmUp(lab, proxy, 2);
    await sleep(SETTLE_MS);
    return { restBytes, idleBytesPerConnection: (await idleBytes(lab, proxy)) / IDLE_CONNECTIONS };
  } finally {
    await proxy.process.stop();
  }
}

async function idleBytes(lab: Lab, { process: server, ports }: RunningProxy): Promise<number> {
  const before = server.residentBytes();
  const argv = pinned(lab.cpus.load, [process.execPath, CLIENTS, String(ports.http), String(IDLE_CONNECTIONS)]);
  const clients = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
  const complaints = text(clients.stderr);
  const ended = once(clients, 'exit') as Promise<[number | null]>;
  const giveUp = setTimeout(() => clients.kill('SIGKILL'), OPEN_MS);
  try {
    await Promise.race([once(clients.stdout, 'data'), ended]);
    clearTimeout(giveUp);
    await sleep(SETTLE_MS);
    const after = server.residentBytes();
    clients.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`not all idle connections were answered and kept. ${await complaints}`);
    return after - before;
  } finally {
    clearTimeout(giveUp);
    if (clients.exitCode === null) clients.kill('SIGKILL');
  }
}
