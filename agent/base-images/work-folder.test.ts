import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inWorkFolder } from './work-folder.ts';

test('a build removes the folder of a killed build and leaves the folder of a running one alone', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'ork-work-'));
  t.after(() => rmSync(parent, { recursive: true }));
  const { pid: ended } = spawnSync('true');
  const kept = [`base-${process.pid}-other`, 'something else'];
  for (const name of [...kept, `base-${ended}-left`]) mkdirSync(join(parent, name, 'tree'), { recursive: true });
  const during = await inWorkFolder(parent, async (folder) => {
    writeFileSync(join(folder, 'file'), '');
    return readdirSync(parent).length;
  });
  assert.equal(during, 3);
  assert.deepEqual(readdirSync(parent).sort(), kept.sort());
});

test('the work folder is removed even if the work fails', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'ork-work-'));
  t.after(() => rmSync(parent, { recursive: true }));
  const failing = inWorkFolder(parent, async () => Promise.reject(new Error('no mirror')));
  await assert.rejects(failing, /no mirror/);
  assert.deepEqual(readdirSync(parent), []);
});
