/** `npm run e2e:sandbox`: see HELP. The last line of its output is one JSON object. */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeEngine } from '../../agent/docker/engine.ts';
import { systemClock } from '../../agent/lib/clock.ts';
import { makeSandbox } from '../../agent/sandbox/sandbox.ts';
import { withEngine } from '../harness/engine.ts';
import { exitCodeOf } from '../harness/script.ts';
import { CASES, TOGETHER } from './cases.ts';
import { startLiveApp } from './live-app.ts';
import { type Bench, type CaseResult, runCase, warmUp } from './run-case.ts';

const QUIET_MS = 10_000;
const DISK_MIB = 2048;

const HELP = `npm run e2e:sandbox [-- OPTIONS]

Builds an ordinary app beside a live one under load, then lets builds do their worst: each must end by its own code soon after
its limit, and neither the app's visitors nor the host's disk may feel it. Then four of them at once, in four slots.

  --only TEXT   the cases whose name contains TEXT; may be given more than once; "together" for the four at once
  --help        this text

Examples:
  npm run e2e:sandbox
  npm run e2e:sandbox -- --only bomb --only cancel

The last line is a JSON object: {"cases":[{"name","code","secondsPastLimit","p99Ratio","failedRequests","diskBackPercent"}]}.
Exits 1 when a case ended by another code, later than 10 s after its limit, or with a failed request.`;

/** The niceness of orkestr-agent.service: this process does the agent's work. */
const AGENT_NICE = 5;

/**
 * Niceness of the session, for kernels that share processors among sessions first: then a thread's niceness counts only
 * within its session (sched(7), "The autogroup feature"). A service has its own group and weight instead.
 */
const AUTOGROUP = '/proc/self/autogroup';
/** Half of the usual weight (kernel: sched_prio_to_weight), like the unit's CPUWeight=50. */
const HALF_WEIGHT_NICE = 3;

/**
 * Applies to all existing threads; new ones inherit it.
 * @returns restores the niceness of the session
 */
function beAsNiceAsTheAgent(): () => void {
  for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), AGENT_NICE);
  if (!existsSync(AUTOGROUP)) return () => undefined;
  const before = /nice (-?\d+)$/m.exec(readFileSync(AUTOGROUP, 'utf8'))?.[1] ?? '0';
  writeFileSync(AUTOGROUP, String(HALF_WEIGHT_NICE));
  return () => writeFileSync(AUTOGROUP, before);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true, default: [''] }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const noLonger = beAsNiceAsTheAgent();
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`${name} came`)));
  const wanted = (name: string): boolean => values.only.some((text) => name.includes(text));
  const results = await withEngine({ kinds: ['node'], say: console.log }, (socketPath) =>
    withBench(socketPath, stop.signal, (bench) => runAll(bench, wanted)),
  ).finally(noLonger);
  for (const result of results) console.log(JSON.stringify(result));
  console.log(JSON.stringify({ cases: results }));
  return results.every(isRight) ? 0 : 1;
}

async function runAll(bench: Bench, wanted: (name: string) => boolean): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  const environments = TOGETHER.map(() => randomUUID());
  await Promise.all(environments.map((each) => warmUp(bench, each)));
  const home = environments[0] ?? '';
  for (const one of CASES.filter(({ name }) => wanted(name))) results.push(await runCase(bench, one, one.name, home));
  if (!wanted('together')) return results;
  const together = CASES.filter(({ name }) => TOGETHER.some((each) => each === name));
  const ended = await Promise.all(
    together.map((one, index) => runCase(bench, one, `together: ${one.name}`, environments[index] ?? home)),
  );
  return [...results, ...ended];
}

function isRight({ name, code, secondsPastLimit, failedRequests }: CaseResult): boolean {
  const wanted = CASES.find((one) => name.endsWith(one.name))?.code ?? 'none';
  return code === wanted && secondsPastLimit <= 10 && failedRequests === 0;
}

async function withBench<T>(socketPath: string, signal: AbortSignal, work: (bench: Bench) => Promise<T>): Promise<T> {
  const scope = randomBytes(4).toString('hex');
  const folder = await mkdtemp(join(tmpdir(), 'ork-bad-builds-'));
  const engine = makeEngine({ socketPath });
  const sandbox = makeSandbox({
    scope,
    stateDirectory: join(folder, 'state'),
    runDirectory: join(folder, 'run'),
    openEngine: (path) => makeEngine({ socketPath: path, disk: 'build' }),
    slots: TOGETHER.length,
    diskMiB: DISK_MIB,
    clock: systemClock,
  });
  try {
    const app = await startLiveApp(engine, scope);
    try {
      const began = Date.now();
      await delay(QUIET_MS, undefined, { signal });
      const quiet = await app.traffic.between(began, Date.now());
      console.log(`quiet: p99 ${quiet.p99Ms.toFixed(2)} ms of ${quiet.requests} requests, ${quiet.failed} failed`);
      const { traffic } = app;
      return await work({
        folder,
        scope,
        engine,
        sandbox,
        traffic,
        quietP99Ms: quiet.p99Ms,
        signal,
        say: console.log,
      });
    } finally {
      await app.stop();
    }
  } finally {
    await sandbox.purge();
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await exitCodeOf(main);
