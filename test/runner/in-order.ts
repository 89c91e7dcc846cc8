/**
 * Runs test files, each in its own process, a given number at a time, in the order given: `node in-order.ts PROCESSES
 * TIMEOUT_MS FILE …`. `node --test` would sort them, and a long one that comes last would have one core to itself while
 * the other idles.
 */
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const [concurrency, timeout, ...files] = process.argv.slice(2);
run({ files, concurrency: Number(concurrency), timeout: Number(timeout) })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(new spec())
  .pipe(process.stdout);
