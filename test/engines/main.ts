/**
 * `npm run test:engines`: the tests that need an engine, against engines that this machine's distribution does not have. Each
 * runs in namespaces of its own, which are gone with their first process: nothing of it stays on the machine but the tree.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { withEngine } from '../harness/engine.ts';
import { testFiles } from '../runner/test-files.ts';
import { dataFolder, STORES } from './plan.ts';
import type { Plan, Store } from './plan.ts';
import { engineTree, SUITES, type Suite } from './tree.ts';

const HELP = `npm run test:engines [-- OPTIONS] [TEXT …]

Runs test files with Docker Engine of a newer Debian, with each way in which it can store images. Without a network: the test
of a build that reaches the npm registry is left out.

  --suite NAME   ${SUITES.join(' or ')}; may be given twice (default both)
  --store NAME   ${STORES.join(' or ')}; may be given twice (default both)
  TEXT           test files whose path holds it (default: those of the agent that use an engine, and rollback)
  --help

Examples:
  npm run test:engines                                          # about half an hour
  npm run test:engines -- --suite sid --store containerd transfer

The last line is {"engines":[{"suite","store","version","passed","failed"}]}. Exits 1 when a test failed.`;

const FILES = [
  'agent/docker/',
  'agent/sandbox/build-inputs',
  'agent/sandbox/builder',
  'agent/sandbox/context-sync',
  'agent/sandbox/private-images',
  'agent/sandbox/sandbox.test',
  'agent/sandbox/transfer',
  'agent/registry/registry',
  'test/e2e/rollback',
];
/** Base images that those tests start from. */
const KINDS = ['debian', 'node'] as const;
const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child'];

interface Outcome {
  readonly suite: Suite;
  readonly store: Store;
  readonly version: string;
  readonly passed: number;
  readonly failed: number;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      suite: { type: 'string', multiple: true, default: [...SUITES] },
      store: { type: 'string', multiple: true, default: [...STORES] },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const suites = SUITES.filter((suite) => values.suite.includes(suite));
  const stores = STORES.filter((store) => values.store.includes(store));
  const words = positionals.length > 0 ? positionals : FILES;
  const files = testFiles(['{agent,test}/**/*.test.ts']).filter((file) => words.some((word) => file.includes(word)));
  if (suites.length === 0 || stores.length === 0 || files.length === 0) {
    console.error(`There is nothing to run.\n\n${HELP}`);
    return 1;
  }
  const folder = join(ROOT, '.orkestr/engines');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const images = join(folder, 'images.tar');
  await withEngine({ kinds: KINDS, say }, () => saveImages(images));
  const outcomes: Outcome[] = [];
  for (const suite of suites) {
    const tree = await engineTree(suite, folder, say);
    for (const store of stores) outcomes.push(await runIn({ tree, store, images, files }, suite));
  }
  console.log(JSON.stringify({ engines: outcomes }));
  return outcomes.every(({ passed, failed }) => failed === 0 && passed > 0) ? 0 : 1;
}

async function saveImages(file: string): Promise<void> {
  const names = BaseImages.parse({});
  await mustRun('docker save', ['docker', 'save', `--output=${file}`, ...KINDS.map((kind) => names[kind])]);
}

/** Its output goes on to ours; what it found is its last line. */
async function runIn(plan: Plan, suite: Suite): Promise<Outcome> {
  say(`\n${suite}, ${plan.store}: ${plan.files.length} files`);
  const program = [process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify(plan)];
  const child = spawn('unshare', [...NAMESPACES, '--', ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, forward);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    process.stderr.write(chunk);
    text = (text + chunk).slice(-10_000);
  });
  await once(child, 'close');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  rmSync(join(plan.tree, dataFolder(plan.store)), { recursive: true, force: true });
  const count = (name: string): number => Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const version = /^engine (\S+)$/m.exec(text)?.[1] ?? 'none';
  const failed = child.exitCode === 0 ? 0 : Math.max(1, count('fail') + count('cancelled'));
  return { suite, store: plan.store, version, passed: count('pass'), failed };
}

process.exitCode = await main();
