/** The stages of a run: executed one after the other, timed, and listed in a summary. */
import { cpus } from 'node:os';
import { TestsFailed } from './failed-tests.ts';

interface Result {
  readonly name: string;
  readonly seconds: number;
  /** Share of all cores' time, whoever used them. */
  readonly idleShare: number;
  readonly failure: string | null;
  readonly failedTests: readonly string[];
}

export class Stages {
  readonly #results: Result[] = [];
  readonly #stopped: AbortSignal;

  /** @param stopped once aborted, no further stage starts */
  constructor(stopped: AbortSignal) {
    this.#stopped = stopped;
  }

  /**
   * Runs a stage, unless the run was stopped. A failure is printed and kept, and the next stage still runs.
   * @returns whether it succeeded
   */
  async run(name: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#stopped.aborted) {
      this.#results.push({
        name,
        seconds: 0,
        idleShare: 0,
        failure: 'not begun: the run was stopped',
        failedTests: [],
      });
      return false;
    }
    console.log(`\n=== ${name}`);
    const began = performance.now();
    const before = coreTimes();
    let failure: string | null = null;
    let failedTests: readonly string[] = [];
    try {
      await work();
    } catch (error) {
      failure = (error as Error).message.split('\n')[0] ?? '';
      if (error instanceof TestsFailed) failedTests = error.tests;
      console.error((error as Error).message);
      for (const line of (error as { evidence?: readonly string[] }).evidence ?? []) console.error(`  | ${line}`);
    }
    const seconds = (performance.now() - began) / 1000;
    const after = coreTimes();
    const idleShare = (after.idle - before.idle) / Math.max(1, after.all - before.all);
    this.#results.push({ name, seconds, idleShare, failure, failedTests });
    return failure === null;
  }

  /** Prints a line for each stage, the failed tests, and the total. @returns the exit code of the run */
  summary(): number {
    console.log('\n=== summary');
    for (const { name, seconds, idleShare, failure } of this.#results) {
      const idle = `${Math.round(idleShare * 100)}% idle`;
      const told = `${name.padEnd(14)} ${seconds.toFixed(1).padStart(7)} s  ${idle.padStart(9)}  ${failure ?? ''}`;
      console.log(`${failure === null ? '✓' : '✗'} ${told}`.trimEnd());
    }
    const failedTests = this.#results.flatMap((result) => result.failedTests);
    if (failedTests.length > 0) console.log(['failed tests:', ...failedTests].join('\n  '));
    const total = this.#results.reduce((sum, { seconds }) => sum + seconds, 0);
    const failures = this.#results.filter(({ failure }) => failure !== null).length;
    const all = this.#results.length;
    console.log(failures === 0 ? `all right in ${total.toFixed(0)} s` : `${failures} of ${all} stages failed`);
    return failures === 0 ? 0 : 1;
  }
}

/** Times of all cores together since boot, ms. */
function coreTimes(): { readonly idle: number; readonly all: number } {
  const times = cpus().map((core) => core.times);
  const sum = (of: (one: (typeof times)[number]) => number): number => times.reduce((total, one) => total + of(one), 0);
  return {
    idle: sum(({ idle }) => idle),
    all: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq),
  };
}
