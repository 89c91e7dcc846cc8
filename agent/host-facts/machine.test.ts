import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { cgroupVersion, disk, memory } from './machine.ts';

test('host facts are read as the kernel writes them', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'meminfo');
  writeFileSync(path, 'MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    8192 kB\n');
  assert.deepEqual(await memory(path), { totalBytes: 16_777_216, availableBytes: 8_388_608 });
  assert.equal(cgroupVersion(folder), 'unknown');
  mkdirSync(join(folder, 'memory'));
  assert.equal(cgroupVersion(folder), '1');
  writeFileSync(join(folder, 'cgroup.controllers'), 'cpu memory');
  assert.equal(cgroupVersion(folder), '2');
  assert.ok((await disk(join(folder, 'not', 'there', 'yet'))).totalBytes > 0);
});
