import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

/** Leaves 40 MB that nobody needs in the old part of the heap, keeps itself busy or not, and tells when they are gone. */
const PROGRAM = `
import { tidyAtFirstRest } from './first-rest.ts';
let heap = Array.from({ length: 400_000 }, (_, index) => ({ index, text: String(index) }));
gc();
const full = process.memoryUsage().heapTotal;
heap = null;
const [isBusy] = process.argv.slice(1).map((word) => word === 'busy');
const work = isBusy && setInterval(() => { for (const end = performance.now() + 40; performance.now() < end;); }, 50);
tidyAtFirstRest();
for (let look = 0; look < (isBusy ? 30 : 300); look += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (process.memoryUsage().heapTotal < full / 2) break;
}
clearInterval(work);
console.log(process.memoryUsage().heapTotal < full / 2 ? 'given back' : 'kept');
`;

/** Once tidied, counts for 4 s how often it is looked whether it rests; then it works a little and tells how often it was tidied. */
const AFTERWARDS = `
import { performance } from 'node:perf_hooks';
import { tidyAtFirstRest } from './first-rest.ts';
let [looks, tidied] = [0, 0];
const [look, collect] = [performance.eventLoopUtilization.bind(performance), globalThis.gc];
performance.eventLoopUtilization = (before) => (before && (looks += 1), look(before));
globalThis.gc = (...how) => ((tidied += 1), collect(...how));
tidyAtFirstRest();
const keep = setInterval(() => undefined, 1000);
while (tidied === 0) await new Promise((resolve) => setTimeout(resolve, 50));
const before = looks;
await new Promise((resolve) => setTimeout(resolve, 4000));
const atRest = looks - before;
for (const end = performance.now() + 200; performance.now() < end;);
for (let wait = 0; wait < 100 && tidied < 2; wait += 1) await new Promise((resolve) => setTimeout(resolve, 100));
clearInterval(keep);
console.log(atRest, 'looks, tidied', tidied);
`;

async function run(program: string, ...words: string[]): Promise<string> {
  const flags = ['--expose-gc', '--input-type=module', '--eval', program];
  const child = spawn(process.execPath, [...flags, ...words], { cwd: import.meta.dirname });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  await once(child, 'close');
  return output.trim();
}

test('what the start has used is given back once the process rests, and not while it is busy', async () => {
  assert.deepEqual(await Promise.all([run(PROGRAM, 'rests'), run(PROGRAM, 'busy')]), ['given back', 'kept']);
});

test('once it is tidy it is looked at seldom, and tidied again after work', async () => {
  assert.match(await run(AFTERWARDS), /^[01] looks, tidied 2$/);
});
