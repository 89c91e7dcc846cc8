import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../lib/exec.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { removeFolder } from './folder.ts';

const TIMEOUT = { timeoutMs: 10_000 };

function stateAt(folder: string): string {
  const state = join(folder, 'orkestr');
  for (const name of ['agent/logs', 'proxy']) mkdirSync(join(state, name), { recursive: true });
  for (const name of ['agent/logs/1', 'proxy/table', 'upgrade.json']) writeFileSync(join(state, name), '');
  return state;
}

test('a folder is removed with all its contents, and a missing folder is no error', (t) => {
  const state = stateAt(temporaryFolder(t));
  assert.deepEqual(removeFolder(state), []);
  assert.ok(!existsSync(state));
  assert.deepEqual(removeFolder(state), []);
});

test('a mounted disk in the state folder is emptied, and its mount point is kept and reported', async (t) => {
  const state = stateAt(temporaryFolder(t));
  const disk = join(state, 'hub');
  mkdirSync(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], TIMEOUT);
  try {
    writeFileSync(join(disk, 'secret.key'), '');
    assert.deepEqual(removeFolder(state), [`${disk} is a mount point: emptied, but kept`]);
    assert.deepEqual(readdirSync(state), ['hub']);
    assert.deepEqual(readdirSync(disk), []);
  } finally {
    await run('umount', [disk], TIMEOUT);
  }
});

test('a link is removed; its target stays and is reported', (t) => {
  const folder = temporaryFolder(t);
  const state = stateAt(folder);
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  writeFileSync(join(disk, 'hub.sqlite'), '');
  symlinkSync(disk, join(state, 'hub'));
  symlinkSync('nowhere', join(state, 'dangling'));
  assert.deepEqual(removeFolder(state), [
    `${join(state, 'hub')} was a link to ${disk}, which is kept: remove it yourself`,
  ]);
  assert.ok(!existsSync(state));
  assert.ok(existsSync(join(disk, 'hub.sqlite')));
});
