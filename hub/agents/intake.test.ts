import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Intake } from './intake.ts';

test('the intake stores batches one at a time, in order of arrival, and yields to the event loop in between', async () => {
  const intake = new Intake();
  const told: string[] = [];
  let others = 0;
  let next = setImmediate(function again() {
    others += 1;
    next = setImmediate(again);
  });
  const store = (name: string) => async () => {
    told.push(`${name} begins`);
    for (let n = 0; n < 100; n += 1) await Promise.resolve();
    told.push(`${name} ends`);
  };
  await Promise.all(['a', 'b', 'c'].map((name) => intake.take(store(name))));
  clearImmediate(next);
  assert.deepEqual(told, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.ok(others >= 2, `${others} turns`);
});

test('a failing batch rejects for its own sender only and does not block the next one', async () => {
  const intake = new Intake();
  const bad = intake.take(() => Promise.reject(new Error('no disk')));
  const good = intake.take(() => Promise.resolve('stored'));
  await assert.rejects(bad, /no disk/);
  assert.equal(await good, 'stored');
});
