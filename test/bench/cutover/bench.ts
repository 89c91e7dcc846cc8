/** Many flips under mixed load through one real proxy process, and what its visitors experienced. */
import { setTimeout as pause } from 'node:timers/promises';
import type { AppCommands } from './app/run.ts';
import type { ClientCommands } from './client/main.ts';
import type { Strays } from './app/request-times.ts';
import { RISE_MS } from './client/load.ts';
import { percentile } from './client/tally.ts';
import type { Tally } from './client/tally.ts';
import { takePrecedence } from '../../harness/precedence.ts';
import { CpuShares } from './cpu-shares.ts';
import { Flipper } from './flipper.ts';
import type { DrainPlan, Stopped } from './flipper.ts';
import { SecureEdge } from './secure-edge.ts';
import { Worker } from './worker.ts';

interface CutoverOptions {
  readonly flips: number;
  /** Requests per second, not counting long-lived ones. */
  readonly rps: number;
  readonly webSockets: number;
  readonly eventStreams: number;
  /** Seconds of full load before the first flip. */
  readonly quietSeconds: number;
  /** Interval between flips. */
  readonly flipEveryMs: number;
  readonly drain: DrainPlan;
  /** The proxy, and this process with its clock, get a processor without waiting: see priority.ts. */
  readonly priority: boolean;
  /** Ends the bench early. */
  readonly signal: AbortSignal;
  /** Reports progress. */
  readonly say: (text: string) => void;
}

/** The last line of the bench. */
export interface CutoverReport {
  readonly flips: number;
  readonly requests: number;
  readonly failed: number;
  readonly truncated: number;
  readonly lateOld: number;
  readonly newSocketsCut: number;
  readonly noCloseFrame: number;
  readonly p99Ms: number;
  readonly p99MsQuiet: number;
  readonly flipP99Ms: number;
}

interface CutoverResult {
  readonly report: CutoverReport;
  /** Requests that the old version received although they were sent after the flip was answered. */
  readonly misrouted: number;
  /** How long each flip took to be answered, ms. */
  readonly flipMs: readonly number[];
  readonly tally: Tally;
  readonly stopped: readonly Stopped[];
  /** Descriptions of the faults; if there are any, also the end of the proxy's log. */
  readonly faults: readonly string[];
}

export const FULL: Omit<CutoverOptions, 'say' | 'signal'> = {
  flips: 200,
  rps: 2_000,
  webSockets: 1_000,
  eventStreams: 200,
  quietSeconds: 5,
  flipEveryMs: 1_500,
  drain: { deadlineSeconds: 10, streamDeadlineSeconds: 10, spreadSeconds: 3 },
  priority: true,
};

const HOST = 'app.test';

/** Everything started has ended when this resolves or rejects. */
export async function benchCutover(options: CutoverOptions): Promise<CutoverResult> {
  const edge = await SecureEdge.start([HOST]);
  const apps = [1, 2].map(() => new Worker<AppCommands>(new URL('app/main.ts', import.meta.url)));
  const client = new Worker<ClientCommands>(new URL('client/main.ts', import.meta.url));
  try {
    if (options.priority) await Promise.all([edge.process.pid, process.pid].map(takePrecedence));
    return await Promise.race([run(options, edge, apps, client), aborted(options.signal)]);
  } catch (error) {
    options.say(`the end of the proxy's log:\n${edge.process.lastLines().join('\n')}`);
    throw error;
  } finally {
    await Promise.all([client, ...apps, edge].map((started) => started.stop()));
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    // The abort may have come while processes were being started.
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

async function run(
  options: CutoverOptions,
  edge: SecureEdge,
  apps: readonly Worker<AppCommands>[],
  client: Worker<ClientCommands>,
): Promise<CutoverResult> {
  const { flips, rps, webSockets, eventStreams, quietSeconds, flipEveryMs, drain, say } = options;
  const retired: Promise<null>[] = [];
  const flipper = new Flipper({
    edge: edge.process,
    apps,
    hosts: [HOST],
    plan: drain,
    retired: (version) => {
      const told = client.ask('retired', version);
      // Awaited at the end, so an early rejection must not count as unhandled.
      told.catch(() => undefined);
      retired.push(told);
    },
  });
  await flipper.flip();
  const destination = { ...edge.process.urls, host: HOST, ca: edge.certificate.pem };
  await client.ask('open', { destination, webSockets, eventStreams });
  say(
    `${webSockets} WebSockets and ${eventStreams} event streams are open, ${edge.process.urls.https ? 'half by TLS' : 'no TLS'}`,
  );
  await client.ask('load', { destination, rps });
  await pause(RISE_MS);
  const shares = new CpuShares([
    ['proxy', edge.process.pid],
    ['clients', client.pid],
    ...apps.map(({ pid }, index) => [`app ${index + 1}`, pid] as const),
  ]);
  await client.ask('phase', 'quiet');
  await pause(quietSeconds * 1000);
  say(`before the flips: ${shares.lap()}`);
  await client.ask('phase', 'flipping');
  for (let flip = 1; flip <= flips; flip += 1) {
    await Promise.all([flipper.flip(), pause(flipEveryMs)]);
    if (flip % 50 === 0 || flip === flips) say(`${flip} flips: ${shares.lap()}`);
  }
  const stopped = await flipper.settle();
  await Promise.all(retired);
  const tally = await client.ask('finish', null);
  const result = resultOf(flipper, tally, stopped);
  return result.faults.length === 0 ? result : { ...result, faults: [...result.faults, ...edge.process.lastLines()] };
}

function resultOf(flipper: Flipper, tally: Tally, stopped: readonly Stopped[]): CutoverResult {
  const sum = (count: (strays: Strays) => number): number =>
    stopped.reduce((total, { strays }) => total + count(strays), 0);
  const { requests, p99Ms, p99MsQuiet, faults } = tally;
  const { failed, truncated, newSocketsCut, noCloseFrame } = faults;
  const flipP99Ms = percentile(flipper.flipMs, 0.99);
  return {
    report: {
      flips: flipper.flipMs.length,
      requests,
      failed,
      truncated,
      lateOld: sum(({ late }) => late),
      newSocketsCut,
      noCloseFrame,
      p99Ms,
      p99MsQuiet,
      flipP99Ms,
    },
    misrouted: sum(({ misrouted }) => misrouted),
    flipMs: flipper.flipMs,
    tally,
    stopped,
    faults: [...tally.said, ...stopped.flatMap(faultsOf)],
  };
}

function faultsOf({ version, drained, strays }: Stopped): string[] {
  const faults = strays.said.map((line) => `lateOld: version ${version}: ${line}`);
  if (!drained.known) faults.push(`version ${version}: the proxy did not know what to drain`);
  if (drained.forced > 0) faults.push(`version ${version}: ${drained.forced} requests were cut at the drain deadline`);
  if (drained.requests.failed > 0) faults.push(`version ${version}: ${drained.requests.failed} requests failed`);
  return faults;
}
