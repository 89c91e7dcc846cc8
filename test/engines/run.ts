/** Runs test files with the engine of another Debian, in separate namespaces, which end with their first process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { dataFolder } from './plan.ts';
import type { Plan, Store } from './plan.ts';
import { engineTree } from './tree.ts';
import type { Suite } from './tree.ts';

const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child'];

interface Choice {
  readonly suites: readonly Suite[];
  readonly stores: readonly Store[];
  readonly files: readonly string[];
  /** Base images that the tests start from. The machine's engine must have them. */
  readonly kinds: readonly (keyof BaseImages)[];
  /** Part of the names of the tests to run. Absent: all. */
  readonly tests?: string | undefined;
}

interface Outcome {
  readonly suite: Suite;
  readonly store: Store;
  readonly version: string;
  readonly passed: number;
  readonly failed: number;
}

/** Requires a running engine on this machine. */
export async function runInEngines(
  { suites, stores, files, kinds, tests }: Choice,
  say: (text: string) => void,
): Promise<Outcome[]> {
  const folder = join(ROOT, '.orkestr/engines');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const images = join(folder, 'images.tar');
  await saveImages(images, kinds);
  const outcomes: Outcome[] = [];
  for (const suite of suites) {
    const tree = await engineTree(suite, folder, say);
    for (const store of stores) outcomes.push(await runIn({ tree, store, images, files, tests }, suite, say));
  }
  return outcomes;
}

async function saveImages(file: string, kinds: Choice['kinds']): Promise<void> {
  const names = BaseImages.parse({});
  await mustRun('docker save', ['docker', 'save', `--output=${file}`, ...kinds.map((kind) => names[kind])]);
}

/** Passes its output on to ours; the last line holds the result. */
async function runIn(plan: Plan, suite: Suite, say: (text: string) => void): Promise<Outcome> {
  say(`\n${suite}, ${plan.store}: ${plan.files.length} files`);
  const program = [process.execPath, join(import.meta.dirname, 'inside.ts'), JSON.stringify(plan)];
  const child = spawn('unshare', [...NAMESPACES, '--', ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, forward);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    say(chunk.trimEnd());
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
