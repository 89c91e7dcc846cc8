/**
 * What policies, metrics and access log cost per request: `node test/bench/observe/main.ts`. Nanoseconds of CPU, the
 * minimum of five rounds, since other work on the machine can only add. Asserts nothing.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { EdgeSettings } from '../../../protocol/edge.ts';
import { systemClock } from '../../../proxy/clock.ts';
import { EdgeObserver } from '../../../proxy/observe/edge-observer.ts';
import type { AccessLogMode } from '../../../proxy/config.ts';
import type { Ended } from '../../../proxy/observe/observer.ts';
import { renderMetrics } from '../../../proxy/observe/snapshot.ts';
import { ClientRates } from '../../../proxy/policy/client-rates.ts';
import { compilePolicy } from '../../../proxy/policy/compile.ts';
import type { Asked } from '../../../proxy/policy/policy.ts';

const ROUNDS = 5;

/**
 * CPU nanoseconds per call, over all threads of the process.
 * @param batch after this many calls others get a turn: those that write what the calls left
 */
async function measure(calls: number, call: (index: number) => void, batch = Infinity): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    for (let index = 0; index < calls; index += 1) {
      call(index);
      if (index % batch === batch - 1) await setImmediate();
    }
    const { user, system } = process.cpuUsage(before);
    rounds.push(((user + system) * 1000) / calls);
  }
  return Math.round(Math.min(...rounds));
}

const exchanges = Array.from({ length: 64 }, (_, index): Ended => ({
  method: 'GET',
  host: 'app.test',
  target: `/items/${index}?page=${index}`,
  clientAddress: `198.51.100.${index}`,
  secure: true,
  httpVersion: '1.1',
  requestId: `0192f0c1-2d3e-7f00-8000-0000000000${index + 10}`,
  status: index % 8 === 0 ? 304 : 200,
  outcome: 'served',
  targetId: '0192f0c1-2d3e-7f00-8000-000000000001',
  durationMs: index * 0.7 + 0.123,
  appMs: index * 0.6 + 0.1,
  bytesIn: 0,
  bytesOut: index * 100,
  engine: 'fast',
}));
const exchange = (index: number): Ended => exchanges[index % 64] as Ended;

const asked = exchanges.map(({ method, host, target, clientAddress }): Asked => ({
  method,
  host,
  target,
  clientAddress,
  secure: true,
  contentLength: null,
  header: () => undefined,
}));

/** The log goes to a file; lines arrive in bursts of 100. */
async function observers(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-bench-'));
  const fd = openSync(join(folder, 'access.log'), 'w');
  const modes = { off: 'off', errors: { share: 0 }, '0.01': { share: 0.01 } } as const;
  const found: Record<string, number> = {};
  const measureMode = async (name: string, accessLog: AccessLogMode, calls: number, batch?: number) => {
    const observer = new EdgeObserver({ accessLog, accessLogFd: fd }, systemClock);
    const upstream = observer.upstream('0192f0c1-2d3e-7f00-8000-0000000000ee');
    found[`ended, access log ${name}`] = await measure(calls, (index) => upstream.ended(exchange(index)), batch);
    await observer.close();
  };
  try {
    for (const [name, mode] of Object.entries(modes)) await measureMode(name, mode, 500_000);
    await measureMode('all', { share: 1 }, 50_000, 100);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
  return found;
}

/** A Prometheus scrape of a busy host, which comes every 15 s: microseconds. */
async function scrape(): Promise<number> {
  const observer = new EdgeObserver({ accessLog: 'off', accessLogFd: 1 }, systemClock);
  for (let index = 0; index < 100; index += 1) observer.upstream(`upstream-${index}`).ended(exchange(index));
  const nanoseconds = await measure(50, () => renderMetrics([observer.snapshot(), observer.snapshot()]));
  await observer.close();
  return Math.round(nanoseconds / 1000);
}

async function policies(): Promise<Record<string, number>> {
  const settings = {
    'https auto, request is secure': {},
    'allow-list of 10': {
      allowFrom: Array.from({ length: 10 }, (_, index) => `198.51.${90 + index}.0/24`),
      https: 'off',
    },
    'rate per client': { ratePerClient: { requests: 1_000_000, burst: 1_000_000 }, https: 'off' },
    'body limit': { maxBodyBytes: 1_000_000, https: 'off' },
  };
  const found: Record<string, number> = {};
  for (const [name, some] of Object.entries(settings)) {
    const deps = {
      clock: systemClock,
      hasCertificate: () => true,
      isOpenChallenge: () => false,
      httpsPort: 443,
      rates: new ClientRates(),
    };
    const policy = compilePolicy({ host: 'app.test', upstreamId: 'u' }, EdgeSettings.parse(some), deps);
    found[`judge, ${name}`] = await measure(500_000, (index) => void policy?.judge(asked[index % 64] as Asked));
  }
  return found;
}

const nanoseconds = { ...(await observers()), ...(await policies()) };
for (const [name, value] of Object.entries(nanoseconds))
  process.stdout.write(`${String(value).padStart(6)} ns  ${name}\n`);
process.stdout.write(`${String(await scrape()).padStart(6)} us  scrape of 100 upstreams in two processes\n`);
