/**
 * Runs test files each in a process of its own, so many at a time, in the order given: `node in-order.ts PROCESSES TIMEOUT_MS FILE …`.
 * `node --test` sorts them, and one that takes long and comes last has a core for itself while the other waits.
 */
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const [concurrency, timeout, ...files] = process.argv.slice(2);
run({ files, concurrency: Number(concurrency), timeout: Number(timeout) })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(new spec())
  .pipe(process.stdout);
