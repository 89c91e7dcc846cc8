/** Runs test files with Node's test runner and passes its output on. */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../installer/stack/stack.ts';
import { failedTests } from './failed-tests.ts';
import type { TestFailure } from './failed-tests.ts';

/** Longest time of one test, ms: a hang is a failure, not an endless run. */
const TEST_TIMEOUT_MS = 300_000;
/** The runner's summary lines for tests that were not run. */
const NOT_RUN = /^ℹ (?:skipped|todo|cancelled) [1-9]/m;

const TOGETHER = join(import.meta.dirname, 'together.ts');
const IN_ORDER = join(import.meta.dirname, 'in-order.ts');
/** The longest tests start first, so that no core waits for one of them at the end. */
const LONGEST = [
  'e2e/docs',
  'e2e/engines',
  'e2e/apps',
  'e2e/console',
  'e2e/crash',
  'e2e/environment',
  'e2e/installation',
  'e2e/secrets',
  'e2e/start',
];

/** Returns the matching files of the repository, sorted. */
export const testFiles = (patterns: readonly string[]): string[] =>
  globSync([...patterns], { cwd: ROOT, exclude: (name) => name === 'node_modules' }).toSorted();

/**
 * Whether the test uses the machine's Docker Engine or changes its network: two such never run in parallel
 * (test/house/machine.test.ts).
 */
export const isOfMachine = (file: string): boolean => file.endsWith('.machine.test.ts');

function longestFirst(files: readonly string[]): string[] {
  const isLong = (file: string): boolean => LONGEST.some((name) => file.includes(name));
  return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
}

export interface RunOptions {
  /**
   * `together`: all files in one process, which is fast. A number: each file in its own process, that many at a time.
   */
  readonly processes: 'together' | number;
  readonly env: NodeJS.ProcessEnv;
  readonly output: NodeJS.WritableStream;
  /** Ends the runner, but not what its tests have started: {@link endMarked} does that. */
  readonly signal?: AbortSignal;
}

/** @returns what failed, or null */
export function runTests(
  files: readonly string[],
  { processes, env, output, signal }: RunOptions,
): Promise<TestFailure | null> {
  const args =
    processes === 'together'
      ? ['--test-reporter=spec', `--test-timeout=${TEST_TIMEOUT_MS}`, TOGETHER, ...files]
      : [IN_ORDER, String(processes), String(TEST_TIMEOUT_MS), ...longestFirst(files)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    // To the same output: errors must not mix with those of another lane.
    child.stderr.on('data', (chunk: Buffer) => output.write(chunk));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.write(text);
      said += text;
    });
    const cancel = (): void => void child.kill('SIGTERM');
    signal?.addEventListener('abort', cancel, { once: true });
    child.once('error', reject);
    child.once('close', (code, killed) => {
      signal?.removeEventListener('abort', cancel);
      if (code !== 0) resolve({ reason: `tests failed (${killed ?? `exit code ${code}`})`, tests: failedTests(said) });
      else resolve(NOT_RUN.test(said.slice(-4096)) ? { reason: 'tests were skipped; none may be', tests: [] } : null);
    });
  });
}
