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
for (let look = 0; look < 30; look += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (process.memoryUsage().heapTotal < full / 2) break;
}
clearInterval(work);
console.log(process.memoryUsage().heapTotal < full / 2 ? 'given back' : 'kept');
`;

async function run(...words: string[]): Promise<string> {
  const flags = ['--expose-gc', '--input-type=module', '--eval', PROGRAM];
  const child = spawn(process.execPath, [...flags, ...words], { cwd: import.meta.dirname });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  await once(child, 'close');
  return output.trim();
}

test('what the start has used is given back once the process rests, and not while it is busy', async () => {
  assert.deepEqual(await Promise.all([run('rests'), run('busy')]), ['given back', 'kept']);
});
