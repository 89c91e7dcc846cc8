import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Sweep } from './sweep.ts';

/** A clock that only the checks themselves advance, ms. */
class SlowClock {
  ms = 0;
  now(): Date {
    return new Date(this.ms);
  }
  monotonic(): number {
    return this.ms;
  }
}

test('a round checks each item once, in turns that stop soon after their time limit', async () => {
  const clock = new SlowClock();
  const seen: number[] = [];
  const look = (thing: number): void => {
    seen.push(thing);
    clock.ms += 0.06;
  };
  const sweep = new Sweep(new Set(Array.from({ length: 20 }, (_, index) => index)), look, clock);
  sweep.begin();
  assert.equal(seen.length, 2);
  // A round in progress is not restarted.
  sweep.begin();
  assert.equal(seen.length, 2);
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => index),
  );
  sweep.begin();
  assert.equal(seen.length, 22);
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
});

test('items removed during a round are not checked, and added ones are', async () => {
  const clock = new SlowClock();
  const things = new Set(['a', 'b', 'c']);
  const seen: string[] = [];
  const look = (thing: string): void => {
    seen.push(thing);
    clock.ms += 1;
    things.delete('b');
    if (thing === 'c') things.add('d');
  };
  new Sweep(things, look, clock).begin();
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  assert.deepEqual(seen, ['a', 'c', 'd']);
});

test('a failing check prevents neither the rest of its round nor the next round', async () => {
  const clock = new SlowClock();
  const seen: string[] = [];
  const look = (thing: string): void => {
    seen.push(thing);
    if (thing === 'b') throw new Error('it fails');
  };
  const sweep = new Sweep(new Set(['a', 'b', 'c']), look, clock);
  assert.throws(() => sweep.begin(), /it fails/);
  await nextTurn();
  assert.deepEqual(seen, ['a', 'b', 'c']);
  assert.throws(() => sweep.begin(), /it fails/);
  await nextTurn();
  assert.deepEqual(seen, ['a', 'b', 'c', 'a', 'b', 'c']);
});
