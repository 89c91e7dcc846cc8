import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatDuration } from './format.ts';

test('durations are shown in a suitable unit', () => {
  const written = [0, 999, 1000, 59_999, 60_000, 185_000, 3_600_000, 7_800_000].map(formatDuration);
  assert.deepEqual(written, [
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1 min 00 s',
    '3 min 05 s',
    '1 h 00 min',
    '2 h 10 min',
  ]);
});

test('ages are rounded, and never negative when the clock is behind', () => {
  const now = Date.parse('2030-01-10T00:00:00Z');
  const ages = [
    '2030-01-10T00:05:00Z',
    '2030-01-09T23:56:00Z',
    '2030-01-09T21:00:00Z',
    '2030-01-09T00:00:00Z',
    '2030-01-01T00:00:00Z',
  ];
  assert.deepEqual(
    ages.map((at) => formatAge(at, now)),
    ['just now', '4 min ago', '3 h ago', '1 day ago', '9 days ago'],
  );
});
