/**
 * `npm test`: everything, one stage after the other, with times and a summary; what it starts it stops, also when it
 * fails or is told to stop. `npm test -- unit`, `house`, `e2e`, … runs one part; any other word runs the test files whose
 * path holds it.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, constants, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { together } from '../agent/lib/together.ts';
import { ensureBaseImages } from '../installer/prepare/base-images.ts';
import { buildConsole } from '../installer/prepare/console.ts';
import { sqliteAddon } from '../installer/release/addon.ts';
import { buildProxy } from '../installer/prepare/proxy-bundle.ts';
import { EngineApi } from '../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../installer/prepare/engine.ts';
import { runProgram } from '../installer/stack/run-program.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../installer/stack/stack.ts';
import { Home } from '../installer/start/home.ts';
import { enginePlan, stackPlan } from '../installer/start/installation.ts';
import { leftStacks, scopesFile, sweep } from './harness/records.ts';
import { ReleaseTarget } from '../protocol/release.ts';
import { containerImage } from './lab/container/image.ts';
import { PREPARED } from './lab/server.ts';
import { compare, endMarked, onlyOurs, othersAtWork, RUN_MARK, takeInventory } from './runner/leftovers.ts';
import { isOfMachine, runTests, testFiles } from './runner/test-files.ts';
import type { RunOptions } from './runner/test-files.ts';

const HELP = `npm test                 everything
npm test -- PART …       some of: types lint format house console bundle unit integration e2e
npm test -- TEXT         the test files whose path holds TEXT
npm run check            types, lint, format and house rules: needs neither root nor an engine`;

const CHECK = ['types', 'lint', 'format', 'house'] as const;
const ALL_TESTS = ['{agent,hub,installer,protocol,proxy,test}/**/*.test.ts'];
const UNIT_FOLDERS = '{agent,hub,installer,protocol,proxy,test/bench}/**/*.test.ts';

/** Parts in their order: the quick ones first, so that a slip is told before the long ones run. `bundle` is made beside the engine's images. */
const PARTS = {
  types: { engine: false, run: checkTypes },
  lint: { engine: false, run: () => tool('oxlint', '.') },
  format: { engine: false, run: () => tool('oxfmt', '--check', '.') },
  house: { engine: false, run: () => tests(['test/house/**/*.test.ts'], 'together') },
  console: { engine: false, run: async () => void (await buildConsole(ROOT, say)) },
  bundle: { engine: false, run: makeBinaries },
  unit: { engine: true, run: unitTests },
  integration: { engine: true, run: integrationTests },
  // Each file has an installation of its own and waits often: three at a time on two cores.
  e2e: { engine: true, run: () => tests(['test/e2e/**/*.test.ts'], 3) },
} as const;
type Part = keyof typeof PARTS;

interface Result {
  readonly name: string;
  readonly seconds: number;
  /** Of all cores' time meanwhile, whoever used it. */
  readonly idleShare: number;
  readonly failure: string | null;
}

const run = randomUUID();
const home = new Home(join(ROOT, '.orkestr'));
const temporary = mkdtempSync(join(tmpdir(), 'ork-'));
const compiled = join(temporary, 'compiled');
mkdirSync(compiled);
// For this process too: records of test stacks are looked for where the tests keep them.
process.env['TMPDIR'] = temporary;
const testEnv = {
  ...process.env,
  TMPDIR: temporary,
  [RUN_MARK]: run,
  CI: 'true',
  NO_COLOR: '1',
  // Hundreds of programs are started from the same sources.
  NODE_COMPILE_CACHE: compiled,
};
const results: Result[] = [];

/** After a signal it ends in this time, ms, whatever is still to be taken away. */
const STOP_MS = 60_000;
const stop = new AbortController();
/** All processes of the run have ended; before a signal nobody waits for that. */
let ended: Promise<void> = Promise.resolve();

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const parts = partsOf(words);
  const files = parts ? [] : testFiles(ALL_TESTS).filter((file) => words.some((word) => file.includes(word)));
  if (!parts && files.length === 0) {
    console.error(`No part and no test file is called ${words.join(' ')}.\n\n${HELP}`);
    return 1;
  }
  const needsEngine = !parts || parts.some((part) => PARTS[part].engine);
  if (needsEngine) await withEngine(parts, files);
  else for (const part of parts) await stage(part, PARTS[part].run);
  return summary();
}

/** Null: the words are no parts. */
function partsOf(words: readonly string[]): readonly Part[] | null {
  const all = Object.keys(PARTS) as Part[];
  if (words.length === 0) return all;
  if (words.length === 1 && words[0] === 'check') return CHECK;
  return words.every((word) => word in PARTS) ? all.filter((part) => words.includes(part)) : null;
}

async function withEngine(parts: readonly Part[] | null, files: readonly string[]): Promise<void> {
  const bundles = parts?.includes('bundle') === true;
  const quick = (parts ?? []).filter((part) => !PARTS[part].engine && part !== 'bundle');
  for (const part of quick) await stage(part, PARTS[part].run);
  try {
    if (!(await stage(bundles ? 'bundle, engine' : 'engine', () => prepare(bundles)))) return;
    const where = { dockerSocket: DOCKER_SOCKET, run, temporary };
    writeFileSync(scopesFile(), '');
    const before = await takeInventory(where);
    let alone = !othersAtWork(run);
    for (const part of (parts ?? []).filter((name) => PARTS[name].engine)) await stage(part, PARTS[part].run);
    if (!parts) await stage('tests', () => runFiles(files, 1));
    await stage('leftovers', async () => {
      const left = leftStacks();
      for (const folder of left) await sweep(folder);
      const found = compare(before, await takeInventory(where));
      alone &&= !othersAtWork(run);
      if (!alone) say('others run orkestr here at the same time: only what is certainly of this run counts');
      const scopes = readFileSync(scopesFile(), 'utf8').split('\n').filter(Boolean);
      const things = [...left.map((folder) => `stack: ${folder}`), ...(alone ? found : onlyOurs(found, scopes))];
      if (things.length > 0) throw new Error(`left behind:\n  ${things.join('\n  ')}`);
    });
  } finally {
    if (stop.signal.aborted) await clearAway();
    // An `npm start` that runs at the same time shares the engine, and stops it when it ends.
    if (!home.isLocked()) {
      await stopEngine(enginePlan(home));
      rmSync(runFolderOf(home.folder), { recursive: true, force: true });
    }
  }
}

/** What a run that was stopped has left. What cannot be taken away is told: the engine is to be stopped all the same. */
async function clearAway(): Promise<void> {
  await ended;
  for (const folder of leftStacks()) {
    await sweep(folder).catch((error: unknown) => console.error(`  ${folder}: ${String(error)}`));
  }
}

/** The engine with its images, which mostly unpack, and with them what is compiled. */
async function prepare(bundles: boolean): Promise<void> {
  home.make();
  const { version, origin } = await ensureEngine(enginePlan(home), say);
  say(`Docker Engine ${version}, ${origin}`);
  await together(
    prepareBaseImages(),
    // For test/e2e/installation.test.ts: made there, it would count against the time of one file.
    containerImage(PREPARED, say),
    bundles ? makeBinaries() : Promise.resolve(),
  );
}

async function prepareBaseImages(): Promise<void> {
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const plan = { ...stackPlan(home, 1, 1), folder: join(temporary, 'base-images'), runFolder: temporary };
    const done = await ensureBaseImages({
      engine,
      kinds: ['node', 'python', 'go', 'static'],
      agentArgv: agentArgv(),
      env: agentEnv(plan),
      say,
    });
    say(done);
    rmSync(plan.folder, { recursive: true, force: true });
  } finally {
    await engine.close();
  }
}

/** Made by a test, either one would count against the time of its file. */
async function makeBinaries(): Promise<void> {
  await buildProxy(ROOT, say);
  say("SQLite's addon for releases");
  await sqliteAddon(ROOT, ReleaseTarget.parse(`linux-${arch()}`));
}

async function checkTypes(): Promise<void> {
  await tool('tsc', '--noEmit', '-p', '.');
  await tool('tsc', '--noEmit', '-p', 'hub/console');
}

async function tool(name: string, ...args: string[]): Promise<void> {
  const program = join(ROOT, 'node_modules', '.bin', name);
  const { code, stdout, stderr } = await runProgram([program, ...args], {
    cwd: ROOT,
    timeoutMs: 300_000,
    signal: stop.signal,
  });
  if (code !== 0) throw new Error(`${name} found something:\n${stdout}${stderr}`);
}

async function tests(patterns: readonly string[], processes: RunOptions['processes']): Promise<void> {
  const files = testFiles(patterns);
  if (files.length === 0) throw new Error(`there is no test file of ${patterns.join()}`);
  await runFiles(files, processes);
}

/**
 * Those of the machine beside all others, which are two halves: each in one process. The first waits for the engine so often
 * that two cores have work for three.
 */
function unitTests(): Promise<void> {
  const files = testFiles([UNIT_FOLDERS]);
  const ofMachine = files.filter(isOfMachine);
  const others = without(files, ofMachine);
  const halves = [0, 1].map((half) => others.filter((_, index) => index % 2 === half));
  return besideEachOther([ofMachine, ...halves].map((lane) => ({ files: lane, processes: 'together' })));
}

/** Those of the proxy, two at a time, beside all others: these have an engine of their own, and all wait most of the time. */
function integrationTests(): Promise<void> {
  const files = testFiles(['test/integration/**/*.test.ts']);
  const ofProxy = files.filter((file) => file.includes('/proxy/'));
  return besideEachOther([
    { files: ofProxy, processes: 2 },
    { files: without(files, ofProxy), processes: 1 },
  ]);
}

const without = (files: readonly string[], some: readonly string[]): string[] =>
  files.filter((file) => !some.includes(file));

interface Lane {
  readonly files: readonly string[];
  readonly processes: RunOptions['processes'];
}

/** What the first says is told as it comes, what the others say at the end. */
async function besideEachOther([first, ...others]: readonly Lane[]): Promise<void> {
  if (!first) return;
  const said = others.map((): Buffer[] => []);
  try {
    await together(
      runFiles(first.files, first.processes),
      ...others.map(({ files, processes }, index) => runFiles(files, processes, into(said[index] ?? []))),
    );
  } finally {
    process.stdout.write(Buffer.concat(said.flat()));
  }
}

const into = (chunks: Buffer[]): Writable =>
  new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(chunk), done()) });

async function runFiles(
  files: readonly string[],
  processes: RunOptions['processes'],
  output: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  const failure = await runTests(files, { processes, env: testEnv, output, signal: stop.signal });
  if (failure !== null) throw new Error(failure);
}

/**
 * Runs a stage, unless the run is to stop; a failure is told and kept, and the next stage runs all the same.
 * @returns whether it was right
 */
async function stage(name: string, work: () => Promise<void>): Promise<boolean> {
  if (stop.signal.aborted) {
    results.push({ name, seconds: 0, idleShare: 0, failure: 'not begun: the run was stopped' });
    return false;
  }
  console.log(`\n=== ${name}`);
  const began = performance.now();
  const before = coreTimes();
  let failure: string | null = null;
  try {
    await work();
  } catch (error) {
    failure = (error as Error).message.split('\n')[0] ?? '';
    console.error((error as Error).message);
    for (const line of (error as { evidence?: readonly string[] }).evidence ?? []) console.error(`  | ${line}`);
  }
  const seconds = (performance.now() - began) / 1000;
  const after = coreTimes();
  const idleShare = (after.idle - before.idle) / Math.max(1, after.all - before.all);
  results.push({ name, seconds, idleShare, failure });
  return failure === null;
}

/** Of all cores together since the machine's start, ms. */
function coreTimes(): { readonly idle: number; readonly all: number } {
  const times = cpus().map((core) => core.times);
  const sum = (of: (one: (typeof times)[number]) => number): number => times.reduce((total, one) => total + of(one), 0);
  return {
    idle: sum(({ idle }) => idle),
    all: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq),
  };
}

function summary(): number {
  console.log('\n=== summary');
  for (const { name, seconds, idleShare, failure } of results) {
    const idle = `${Math.round(idleShare * 100)}% idle`;
    const told = `${name.padEnd(14)} ${seconds.toFixed(1).padStart(7)} s  ${idle.padStart(9)}  ${failure ?? ''}`;
    console.log(`${failure === null ? '✓' : '✗'} ${told}`.trimEnd());
  }
  const total = results.reduce((sum, { seconds }) => sum + seconds, 0);
  const failures = results.filter(({ failure }) => failure !== null).length;
  console.log(failures === 0 ? `all right in ${total.toFixed(0)} s` : `${failures} of ${results.length} stages failed`);
  return failures === 0 ? 0 : 1;
}

const say = (text: string): void => console.log(`  ${text}`);

/** The first signal stops the run in order, the second one at once. */
function onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void {
  const code = 128 + constants.signals[signal];
  if (stop.signal.aborted) process.exit(code);
  console.error(`\n${signal}: stopping what runs`);
  stop.abort();
  ended = endMarked(run);
  setTimeout(() => process.exit(code), STOP_MS).unref();
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
