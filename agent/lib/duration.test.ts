import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration } from './duration.ts';

test('a duration is written in its two largest units', () => {
  const told = [0, 999, 1000, 61_000, 3_600_000, 90_061_000, -5000].map(duration);
  assert.deepEqual(told, ['0 s', '0 s', '1 s', '1 min 1 s', '1 h', '1 d 1 h', '0 s']);
});
