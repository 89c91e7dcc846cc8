import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { together } from './together.ts';

test('what all of them give comes in their order', async () => {
  assert.deepEqual(await together(sleep(5, 'slow'), sleep(1, 2)), ['slow', 2]);
});

test('a failure is told when all have ended, and of several the first in their order', async () => {
  const ended: string[] = [];
  const work = async (name: string, ms: number, fails = false): Promise<void> => {
    await sleep(ms);
    ended.push(name);
    if (fails) throw new Error(name);
  };
  const all = together(work('a', 1), work('b', 20, true), work('c', 1, true), work('d', 30));
  await assert.rejects(all, { message: 'b' });
  assert.deepEqual(ended.toSorted(), ['a', 'b', 'c', 'd']);
});
