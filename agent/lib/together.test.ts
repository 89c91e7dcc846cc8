import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { together } from './together.ts';

test('the results come in the order of the tasks', async () => {
  assert.deepEqual(await together(sleep(5, 'slow'), sleep(1, 2)), ['slow', 2]);
});

test('a failure is thrown after all tasks have ended; of several, the first in order is thrown', async () => {
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
