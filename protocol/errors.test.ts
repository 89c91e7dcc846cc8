import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError, toErrorReport } from './errors.ts';

test('a full disk gets its own code; a coded error keeps its code, and any other error is internal', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  assert.equal(toErrorReport(full).code, 'ORK_DISK_FULL');
  assert.match(toErrorReport(full).message, /no space left/);
  assert.equal(toErrorReport(new OrkestrError('ORK_BUILD_DISK', 'So.', { cause: full })).code, 'ORK_BUILD_DISK');
  assert.equal(toErrorReport(new Error('so')).code, 'ORK_INTERNAL');
  assert.equal(toErrorReport('so', 'ORK_INVALID').code, 'ORK_INVALID');
});
