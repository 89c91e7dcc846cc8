/** Runs test files with node's own runner and passes its output on. */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../installer/stack/stack.ts';

/** Longest time of one test, ms: a hang is a failure, not an endless run. */
const TEST_TIMEOUT_MS = 300_000;
/** What the runner's closing lines say about tests that were not run. */
const NOT_RUN = /^ℹ (?:skipped|todo|cancelled) [1-9]/m;

const TOGETHER = join(import.meta.dirname, 'together.ts');
const IN_ORDER = join(import.meta.dirname, 'in-order.ts');
/** Those that take longest come first, so that no core waits for one of them in the end. */
const LONGEST = ['e2e/docs', 'e2e/engines', 'e2e/apps', 'e2e/crash', 'e2e/installation'];

/** Files of the repository that match, sorted. */
export const testFiles = (patterns: readonly string[]): string[] =>
  globSync([...patterns], { cwd: ROOT, exclude: (name) => name === 'node_modules' }).toSorted();

/**
 * What a test file names that has to do with the machine's Docker Engine, or changes the machine's network; and releases, a minute of
 * compressing: so the lanes take about as long.
 */
const OF_THE_MACHINE =
  /docker\.sock|harness\/(?:builder|registry)\.ts|test-remote-host|netns|makeFirewall|makeRelease\b/;

/** Whether the file waits for the engine most of its time, or changes what there is one of: two such do not run beside each other. */
export const isOfMachine = (file: string): boolean => OF_THE_MACHINE.test(readFileSync(join(ROOT, file), 'utf8'));

function longestFirst(files: readonly string[]): string[] {
  const isLong = (file: string): boolean => LONGEST.some((name) => file.includes(name));
  return [...files.filter(isLong), ...files.filter((file) => !isLong(file))];
}

export interface RunOptions {
  /** `together`: all in one process, quick. A number: each file in a process of its own, so many at a time. */
  readonly processes: 'together' | number;
  readonly env: NodeJS.ProcessEnv;
  readonly output: NodeJS.WritableStream;
  /** Ends the runner. What its tests have started is not ended by that: {@link endMarked} is for it. */
  readonly signal?: AbortSignal;
}

/** @returns what went wrong, or null */
export function runTests(
  files: readonly string[],
  { processes, env, output, signal }: RunOptions,
): Promise<string | null> {
  const args =
    processes === 'together'
      ? ['--test-reporter=spec', `--test-timeout=${TEST_TIMEOUT_MS}`, TOGETHER, ...files]
      : [IN_ORDER, String(processes), String(TEST_TIMEOUT_MS), ...longestFirst(files)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    // Beside what it belongs to: another lane's errors are not this one's.
    child.stderr.on('data', (chunk: Buffer) => output.write(chunk));
    let end = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.write(text);
      end = (end + text).slice(-4096);
    });
    const cancel = (): void => void child.kill('SIGTERM');
    signal?.addEventListener('abort', cancel, { once: true });
    child.once('error', reject);
    child.once('close', (code, killed) => {
      signal?.removeEventListener('abort', cancel);
      if (code !== 0) resolve(`tests failed (${killed ?? `exit code ${code}`})`);
      else resolve(NOT_RUN.test(end) ? 'tests were skipped; none may be' : null);
    });
  });
}
