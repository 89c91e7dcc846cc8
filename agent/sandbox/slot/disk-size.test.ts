import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import { MIB } from '../../../protocol/size.ts';
import { diskSize } from './disk-size.ts';

const GIB = 1024 * MIB;
const roomy = { wantedMiB: null, presentBytes: 0, hostBytes: 500 * GIB, slots: 2 };

test('a host with much space gives each slot 20 GiB, a small one a share of its free space', () => {
  assert.equal(diskSize(roomy), 20 * GIB);
  assert.equal(diskSize({ ...roomy, hostBytes: 10 * GIB }), 4 * GIB);
  assert.equal(diskSize({ ...roomy, hostBytes: 10 * GIB, slots: 4 }), 2 * GIB);
});

test('a disk of default size keeps its size, and a configured size is applied as far as it fits', () => {
  assert.equal(diskSize({ ...roomy, presentBytes: 3 * GIB }), 3 * GIB);
  assert.equal(diskSize({ ...roomy, presentBytes: 3 * GIB, wantedMiB: 6144 }), 6 * GIB);
  assert.equal(diskSize({ ...roomy, wantedMiB: 1_000_000 }), 200 * GIB);
});

test('a host without enough space throws an error with the numbers', () => {
  assert.throws(
    () => diskSize({ ...roomy, hostBytes: 600 * MIB }),
    (error: OrkestrError) => error.code === 'ORK_DISK_FULL' && /600 MiB free; 2 build disks/.test(error.message),
  );
});
