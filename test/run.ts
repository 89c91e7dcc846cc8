/**
 * `npm test`: runs everything, one stage after the other, with times and a summary. It stops what it has started, also
 * after a failure or a signal. `npm test -- unit`, `house`, `e2e`, … runs one part; any other word runs the test files
 * whose path contains it.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { together } from '../agent/lib/together.ts';
import { ensureBaseImages } from '../installer/prepare/base-images.ts';
import { buildConsole } from '../installer/prepare/console.ts';
import { buildProxy } from '../installer/prepare/proxy-bundle.ts';
import { EngineApi } from '../installer/prepare/engine-api.ts';
import { DOCKER_SOCKET, ensureEngine, stopEngine } from '../installer/prepare/engine.ts';
import { makeCliBundle } from '../installer/release/bundles.ts';
import { runProgram } from '../installer/stack/run-program.ts';
import { agentArgv, agentEnv, ROOT, runFolderOf } from '../installer/stack/stack.ts';
import { Home } from '../installer/start/home.ts';
import { enginePlan, stackPlan } from '../installer/start/installation.ts';
import { CLI_OF_RUN } from './harness/cli-program.ts';
import { leftStacks, scopesFile, sweep } from './harness/records.ts';
import { makeTestRelease, RELEASE_OF_RUN } from './harness/release.ts';
import { containerImage } from './lab/container/image.ts';
import { PREPARED } from './lab/server.ts';
import { compare, endMarked, onlyOurs, othersAtWork, RUN_MARK, takeInventory } from './runner/leftovers.ts';
import { runLanes, runPart, TEST_PARTS } from './runner/lanes.ts';
import { Stages } from './runner/stages.ts';
import { testFiles } from './runner/test-files.ts';

const HELP = `npm test                 everything
npm test -- PART …       some of: types lint format house console bundle unit integration e2e
npm test -- TEXT         the test files whose path holds TEXT
npm run check            types, lint, format and house rules: needs neither root nor an engine`;

const CHECK = ['types', 'lint', 'format', 'house'] as const;

/**
 * Parts in their order: fast ones first, so that their errors show before the long ones run. `bundle` is built while
 * the engine's images are prepared.
 */
const PARTS = {
  types: { engine: false, run: checkTypes },
  lint: { engine: false, run: () => tool('oxlint', '.') },
  format: { engine: false, run: () => tool('oxfmt', '--check', '.') },
  house: { engine: false, run: () => runPart('house', options) },
  console: { engine: false, run: async () => void (await buildConsole(ROOT, say)) },
  bundle: { engine: false, run: makeBinaries },
  unit: { engine: true, run: () => runPart('unit', options) },
  integration: { engine: true, run: () => runPart('integration', options) },
  e2e: { engine: true, run: () => runPart('e2e', options) },
} as const;
type Part = keyof typeof PARTS;

const run = randomUUID();
const home = new Home(join(ROOT, '.orkestr'));
const temporary = mkdtempSync(join(tmpdir(), 'ork-'));
const compiled = join(temporary, 'compiled');
mkdirSync(compiled);
// For this process, too: it looks for the records of test stacks where the tests keep them.
process.env['TMPDIR'] = temporary;
const testEnv: NodeJS.ProcessEnv = {
  ...process.env,
  TMPDIR: temporary,
  [RUN_MARK]: run,
  CI: 'true',
  NO_COLOR: '1',
  // Hundreds of programs are started from the same sources.
  NODE_COMPILE_CACHE: compiled,
};

/** After a signal, the run ends within this time, ms, whatever is still to be removed. */
const STOP_MS = 60_000;
const stop = new AbortController();
const stages = new Stages(stop.signal);
const options = { env: testEnv, signal: stop.signal };
/** Resolves when all processes of the run have ended; awaited only after a signal. */
let ended: Promise<void> = Promise.resolve();

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const parts = partsOf(words);
  const files = parts
    ? []
    : testFiles(Object.values(TEST_PARTS)).filter((file) => words.some((word) => file.includes(word)));
  if (!parts && files.length === 0) {
    console.error(`No part and no test file is called ${words.join(' ')}.\n\n${HELP}`);
    return 1;
  }
  const needsEngine = !parts || parts.some((part) => PARTS[part].engine);
  if (needsEngine) await withEngine(parts, files);
  else for (const part of parts) await stages.run(part, PARTS[part].run);
  return stages.summary();
}

/** Null if the words are not parts. */
function partsOf(words: readonly string[]): readonly Part[] | null {
  const all = Object.keys(PARTS) as Part[];
  if (words.length === 0) return all;
  if (words.length === 1 && words[0] === 'check') return CHECK;
  return words.every((word) => word in PARTS) ? all.filter((part) => words.includes(part)) : null;
}

async function withEngine(parts: readonly Part[] | null, files: readonly string[]): Promise<void> {
  const bundles = parts?.includes('bundle') === true;
  const quick = (parts ?? []).filter((part) => !PARTS[part].engine && part !== 'bundle');
  for (const part of quick) await stages.run(part, PARTS[part].run);
  try {
    if (!(await stages.run(bundles ? 'bundle, engine' : 'engine', () => prepare(bundles)))) return;
    const where = { dockerSocket: DOCKER_SOCKET, run, temporary };
    writeFileSync(scopesFile(), '');
    const before = await takeInventory(where);
    let alone = !othersAtWork(run);
    for (const part of (parts ?? []).filter((name) => PARTS[name].engine)) await stages.run(part, PARTS[part].run);
    if (!parts) await stages.run('tests', () => runLanes([{ files, processes: 1 }], options));
    await stages.run('leftovers', async () => {
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

/**
 * Removes what an interrupted run has left. Failures are only logged, because the engine must be stopped in any case.
 */
async function clearAway(): Promise<void> {
  await ended;
  for (const folder of leftStacks()) {
    await sweep(folder).catch((error: unknown) => console.error(`  ${folder}: ${String(error)}`));
  }
}

/** Prepares the engine and its images, which mostly unpack, and compiles at the same time. */
async function prepare(bundles: boolean): Promise<void> {
  home.make();
  const { version, origin } = await ensureEngine(enginePlan(home), say);
  say(`Docker Engine ${version}, ${origin}`);
  await together(
    prepareBaseImages(),
    // For test/e2e/installation.test.ts: made in the test, it would count against the time of one file.
    containerImage(PREPARED, say),
    makeCli(),
    bundles ? makeBinaries() : Promise.resolve(),
  );
}

async function prepareBaseImages(): Promise<void> {
  const engine = new EngineApi(DOCKER_SOCKET);
  try {
    const plan = { ...stackPlan(home, 1, 1), folder: join(temporary, 'base-images'), runFolder: temporary };
    const done = await ensureBaseImages({
      engine,
      kinds: ['node', 'python', 'static'],
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

/** For the tests of the CLI, which start it for every command. */
async function makeCli(): Promise<void> {
  const folder = join(temporary, 'cli');
  await makeCliBundle(ROOT, folder);
  testEnv[CLI_OF_RUN] = join(folder, 'orkestr.cjs');
}

/** Three test files take the release. If a test made either of them, it would count against the time of its file. */
async function makeBinaries(): Promise<void> {
  await buildProxy(ROOT, say);
  say("a release, with SQLite's addon");
  const folder = join(temporary, 'release');
  await makeTestRelease(folder);
  testEnv[RELEASE_OF_RUN] = folder;
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
