/** Which test files a part of `npm test` runs, and which of them run in parallel. */
import { Writable } from 'node:stream';
import { together } from '../../agent/lib/together.ts';
import { TestsFailed } from './failed-tests.ts';
import type { TestFailure } from './failed-tests.ts';
import { isOfMachine, runTests, testFiles } from './test-files.ts';
import type { RunOptions } from './test-files.ts';

/**
 * Parts that consist of test files, each with its pattern. Every test file is in one part (test/house/parts.test.ts).
 */
export const TEST_PARTS = {
  house: 'test/house/**/*.test.ts',
  unit: '{agent,hub,installer,protocol,proxy,test/{bench,secrets,slow}}/**/*.test.ts',
  integration: 'test/integration/**/*.test.ts',
  e2e: 'test/e2e/**/*.test.ts',
} as const;

interface Lane {
  readonly files: readonly string[];
  readonly processes: RunOptions['processes'];
}

/** Tests of the proxy that start it, or its clients, as programs, or count what is left in their process. */
const APART = ['acme', 'attack-tools', 'clients', 'flips-under-load', 'process', 'smuggling', 'time-limits', 'workers'];

/** Lanes of a part, which run in parallel. */
const LANES: Readonly<Record<keyof typeof TEST_PARTS, (files: readonly string[]) => readonly Lane[]>> = {
  house: (files) => [{ files, processes: 'together' }],
  /** Those of the machine, and as many others as let both lanes take about as long. */
  unit(files) {
    const first = files.filter((file) => isOfMachine(file) || file.startsWith('installer/'));
    return [first, without(files, first)].map((lane) => ({ files: lane, processes: 'together' }));
  },
  /**
   * Files whose proxies run in one process with them, which saves the start of one for each; the other files of the
   * proxy; and all others, which have their own engine. All mostly wait, and the lanes take about as long.
   */
  integration(files) {
    const ofProxy = files.filter((file) => /\/proxy\/(?!hand-over|at-rest)/.test(file));
    const apart = ofProxy.filter((file) => APART.some((name) => file.includes(`/proxy/${name}`)));
    return [
      { files: without(ofProxy, apart), processes: 'together' },
      { files: apart, processes: 1 },
      { files: without(files, ofProxy), processes: 1 },
    ];
  },
  /** Each file has an installation of its own. With a third lane visitors of held apps time out on two cores. */
  e2e: (files) => [{ files, processes: 2 }],
};

const without = (files: readonly string[], some: readonly string[]): string[] =>
  files.filter((file) => !some.includes(file));

/**
 * Runs the test files of a part.
 * @throws TestsFailed once all lanes have ended
 */
export async function runPart(
  part: keyof typeof TEST_PARTS,
  options: Pick<RunOptions, 'env' | 'signal'>,
): Promise<void> {
  const files = testFiles([TEST_PARTS[part]]);
  if (files.length === 0) throw new Error(`there is no test file of ${part}`);
  await runLanes(LANES[part](files), options);
}

/**
 * Prints the first lane's output as it arrives, and that of the others at the end.
 * @throws TestsFailed once all have ended
 */
export async function runLanes(
  [first, ...others]: readonly Lane[],
  options: Pick<RunOptions, 'env' | 'signal'>,
): Promise<void> {
  if (!first) return;
  const said = others.map((): Buffer[] => []);
  const run = ({ files, processes }: Lane, output: NodeJS.WritableStream): Promise<TestFailure | null> =>
    runTests(files, { ...options, processes, output });
  try {
    const ended = await together(
      run(first, process.stdout),
      ...others.map((lane, index) => run(lane, into(said[index] ?? []))),
    );
    const failures = ended.filter((failure) => failure !== null);
    if (failures.length > 0) throw new TestsFailed(failures);
  } finally {
    process.stdout.write(Buffer.concat(said.flat()));
  }
}

const into = (chunks: Buffer[]): Writable =>
  new Writable({ write: (chunk: Buffer, _encoding, done) => (chunks.push(chunk), done()) });
