import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

/** Leaves 40 MB of garbage in the old generation, keeps itself busy or not, and prints whether it was freed. */
const PROGRAM = `
import { tidyAtFirstRest } from './tidy.ts';
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

/** Once compacted, counts idleness checks for 4 s; then works a little and prints the checks and the compactions. */
const AFTERWARDS = `
import { performance } from 'node:perf_hooks';
import { tidyAtFirstRest } from './tidy.ts';
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

/** Runs a thousand functions before the first compaction and a thousand after; prints whose compiled code is left. */
const COMPILED = `
import { getHeapCodeStatistics } from 'node:v8';
import { tidyAtFirstRest } from './tidy.ts';
const size = () => getHeapCodeStatistics().bytecode_and_metadata_size;
const before = size();
const runEach = (name) => Array.from({ length: 1000 }, (_, index) => new Function('a', 'return { ' + name + index + ': [a, a + ' + index + '] }'));
const start = runEach('start');
for (const each of start) each(1);
const full = size();
tidyAtFirstRest();
const half = before + (full - before) / 2;
for (let look = 0; look < 300 && size() > half; look += 1) await new Promise((resolve) => setTimeout(resolve, 100));
const tidied = size();
const later = runEach('later');
for (const each of later) each(1);
const worked = size();
gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
const isLeft = (held, added) => held > added / 4;
console.log(isLeft(tidied - before, full - before), isLeft(size() - tidied, worked - tidied), start.length + later.length);
`;

/** Prints how often it compacts at the start, whether it does while the heap grows, and how often without growth. */
const GROWS = `
import { tidyWhenGrown } from './tidy.ts';
let tidied = 0;
const collect = globalThis.gc;
globalThis.gc = (...how) => ((tidied += 1), collect(...how));
const keep = setInterval(() => undefined, 1000);
const after = async (work) => {
  const before = tidied;
  for (let wait = 0; wait < 10; wait += 1) {
    work();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return tidied - before;
};
let kept = [];
tidyWhenGrown(50);
const start = await after(() => undefined);
const grown = await after(() => (kept = [...kept, ...Array.from({ length: 20_000 }, (_, index) => ({ index }))]));
kept = [];
await after(() => undefined);
console.log(start, grown > 0, await after(() => undefined));
clearInterval(keep);
`;

async function run(program: string, ...words: string[]): Promise<string> {
  const flags = [
    '--expose-gc',
    '--no-flush-bytecode',
    '--bytecode-old-age=1',
    '--input-type=module',
    '--eval',
    program,
  ];
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

test('compiled code of the start goes at the first rest, what is compiled after it stays', async () => {
  assert.equal(await run(COMPILED), 'false true 2000');
});

test('a process that waits for good is tidied when much has gathered, and only then', async () => {
  assert.equal(await run(GROWS), '1 true 0');
});
