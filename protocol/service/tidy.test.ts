import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

/**
 * Leaves 40 MB of garbage in the old generation once for each of `looks`, which says how often to look whether it was
 * freed; prints whether it was. Keeps itself busy if told so.
 */
const PROGRAM = `
import { tidyAtFirstRest } from './tidy.ts';
const { waits, looks, isBusy } = JSON.parse(process.argv[1]);
const heapBytes = () => process.memoryUsage().heapTotal;
const work = isBusy && setInterval(() => { for (const end = performance.now() + 40; performance.now() < end;); }, 50);
tidyAtFirstRest(waits);
const outcomes = [];
for (const most of looks) {
  let heap = Array.from({ length: 400_000 }, (_, index) => ({ index, text: String(index) }));
  gc();
  const full = heapBytes();
  heap = null;
  for (let look = 0; look < most && heapBytes() >= full / 2; look += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  outcomes.push(heapBytes() < full / 2 ? 'given back' : 'kept');
}
clearInterval(work);
console.log(outcomes.join());
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
tidyAtFirstRest({ lookMs: 50 });
const half = before + (full - before) / 2;
for (let look = 0; look < 600 && size() > half; look += 1) await new Promise((resolve) => setTimeout(resolve, 50));
const tidied = size();
const later = runEach('later');
for (const each of later) each(1);
const worked = size();
gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
const isLeft = (held, added) => held > added / 4;
console.log(isLeft(tidied - before, full - before), isLeft(size() - tidied, worked - tidied), start.length + later.length);
`;

/**
 * Prints how often it compacts at the start, whether it does while the heap grows, and how often without growth: once
 * after it had more than before, since that might have been work in progress.
 */
const GROWS = `
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { tidyWhenGrown } from './tidy.ts';
let tidied = 0;
const isMajor = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
// A compaction consists of several collections without a turn between them.
new PerformanceObserver((list) => (tidied += list.getEntries().some(isMajor) ? 1 : 0)).observe({ type: 'gc' });
const keep = setInterval(() => undefined, 1000);
const after = async (work) => {
  const before = tidied;
  for (let wait = 0; wait < 10; wait += 1) {
    work();
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return tidied - before;
};
let kept = [];
tidyWhenGrown(20);
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

/** How often to look for what is given back, at most, and for what is kept. */
const [LONG, SHORT] = [600, 20];
/** A busy process is one that never rests for this long, however loaded the machine is. */
const REST = { lookMs: 200 };

const outcome = (plan: object): Promise<string> => run(PROGRAM, JSON.stringify(plan));

test('what the start has used is given back once the process rests, and not while it is busy', async () => {
  const rests = { waits: REST, looks: [LONG] };
  const works = { waits: REST, looks: [SHORT], isBusy: true };
  assert.deepEqual(await Promise.all([rests, works].map(outcome)), ['given back', 'kept']);
});

test('once it is tidy it is looked at seldom, and tidied again after work', async () => {
  const soon = { waits: { lookMs: 50, workLookMs: 100 }, looks: [LONG, LONG] };
  const seldom = { waits: { lookMs: 50, workLookMs: 600_000 }, looks: [LONG, SHORT] };
  assert.deepEqual(await Promise.all([soon, seldom].map(outcome)), ['given back,given back', 'given back,kept']);
});

test('compiled code of the start goes at the first rest, what is compiled after it stays', async () => {
  assert.equal(await run(COMPILED), 'false true 2000');
});

test('a process that waits for good is tidied when much has gathered, and only then', async () => {
  assert.equal(await run(GROWS), '2 true 0');
});
