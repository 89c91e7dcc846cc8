import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serialize } from './serialize.ts';

test('each task starts after the one before it, even if that failed, and each caller gets its own result', async () => {
  const inTurn = serialize();
  const told: string[] = [];
  const work =
    (name: string, fails = false) =>
    async () => {
      told.push(`${name} begins`);
      await new Promise(setImmediate);
      told.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const [one, two, three] = [inTurn(work('one')), inTurn(work('two', true)), inTurn(work('three'))];
  assert.equal(await one, 'one');
  await assert.rejects(two, /two/);
  assert.equal(await three, 'three');
  assert.deepEqual(told, ['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends']);
});
