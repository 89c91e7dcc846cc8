/** Why test files failed, and which of their tests: what the summary of a run repeats at its end. */

export interface TestFailure {
  /** In a few words, e.g. `tests failed (exit code 1)`. */
  readonly reason: string;
  /** Each failed test with its place, e.g. `hub/cli/main.test.ts:12 a wrong option is an error`. */
  readonly tests: readonly string[];
}

export class TestsFailed extends Error {
  readonly tests: readonly string[];

  /** @param failures of one lane or more */
  constructor(failures: readonly TestFailure[]) {
    super([...new Set(failures.map(({ reason }) => reason))].join('; '));
    this.tests = failures.flatMap(({ tests }) => tests);
  }
}

/** Above the list of failed tests that ends the output of Node's reporter `spec`. */
const LIST = '\n✖ failing tests:\n';
const FAILED_TEST = /^test at (.+):\d+\n✖ (.+) \([\d.]+ms\)/gm;

/** Returns the failed tests that the output of the reporter `spec` lists. */
export function failedTests(output: string): readonly string[] {
  const list = output.lastIndexOf(LIST);
  if (list === -1) return [];
  return [...output.slice(list).matchAll(FAILED_TEST)].map(([, place, title]) => `${place} ${title}`);
}
