import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingBytes } from './cache-eviction.ts';

const GIB = 1024 ** 3;
const use = { usedBytes: 12 * GIB, freeBytes: 8 * GIB, usedInodes: 100, freeInodes: 900, hostFreeBytes: 99 * GIB };

test('eviction makes room for what a build needs, but for no more than half of the disk', () => {
  assert.equal(missingBytes(use, 8 * GIB), 0);
  assert.equal(missingBytes(use, 9 * GIB), GIB);
  assert.equal(missingBytes(use, 500 * GIB), 2 * GIB);
});

test('when few inodes are left, eviction removes half of the cache', () => {
  assert.equal(missingBytes({ ...use, usedInodes: 800, freeInodes: 200 }, GIB), 6 * GIB);
});
