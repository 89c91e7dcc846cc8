import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanSize, MIB } from './size.ts';

test('a size is written in the largest unit that it reaches, with at most one decimal', () => {
  assert.deepEqual([0, 900, 64 * MIB, 1024 * MIB, 1536 * MIB, 1.26 * 1024 * MIB, 3 * 1024 ** 5].map(humanSize), [
    '0 bytes',
    '900 bytes',
    '64 MiB',
    '1 GiB',
    '1.5 GiB',
    '1.3 GiB',
    '3072 TiB',
  ]);
  assert.deepEqual([1, 1023, 1024, MIB - 1].map(humanSize), ['1 byte', '1023 bytes', '1 KiB', '1 MiB']);
});
