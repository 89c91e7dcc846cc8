import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, double, integer, property } from 'fast-check';
import { backoffMs } from './backoff.ts';

const limits = { baseMs: 500, capMs: 30_000 };

test('the upper end of the wait doubles with each attempt until the cap', () => {
  const ceilings = [0, 1, 2, 3, 10].map((attempt) => backoffMs(attempt, limits, () => 1));
  assert.deepEqual(ceilings, [500, 1000, 2000, 4000, 30_000]);
});

test('the whole range below the upper end is used, so agents spread out', () => {
  assert.equal(
    backoffMs(3, limits, () => 0),
    0,
  );
  assert.equal(
    backoffMs(3, limits, () => 0.5),
    2000,
  );
});

test('no attempt number gives a wait that is negative, above the cap or not a number', () => {
  check(
    property(integer(), double({ min: 0, max: 1, noNaN: true }), (attempt, roll) => {
      const wait = backoffMs(attempt, limits, () => roll);
      return wait >= 0 && wait <= limits.capMs;
    }),
  );
});
