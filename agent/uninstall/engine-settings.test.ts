import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { run } from '../lib/exec.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { readEngineSettings, takeBackEngineSettings, writeEngineSettings } from './engine-settings.ts';

const TIMEOUT = { timeoutMs: 10_000 };

test('settings are written to the target of their link and keep their mode', (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'elsewhere.json');
  const link = join(folder, 'daemon.json');
  writeFileSync(file, '{"live-restore":true,"debug":true}');
  chmodSync(file, 0o644);
  symlinkSync(file, link);
  const mask = process.umask(0o077);
  t.after(() => process.umask(mask));
  writeEngineSettings(link, { debug: true });
  assert.deepEqual(readEngineSettings(file), { debug: true });
  assert.equal(statSync(file).mode & 0o777, 0o644);
  assert.deepEqual(readdirSync(folder).toSorted(), ['daemon.json', 'elsewhere.json']);
  assert.deepEqual(readEngineSettings(join(folder, 'none.json')), {});
});

test('settings that did not exist before are removed, with their folder if it is empty and did not exist either', (t) => {
  const cases: [were: string, settings: Record<string, unknown>, beside: string[], left: string[] | null][] = [
    ['there', {}, [], ['daemon.json']],
    ['absent', {}, [], []],
    ['absent', { debug: true }, [], ['daemon.json']],
    ['no-folder', {}, [], null],
    ['no-folder', {}, ['key.json'], ['key.json']],
    ['no-folder', { debug: true }, [], ['daemon.json']],
  ];
  for (const [were, settings, beside, left] of cases) {
    const folder = join(temporaryFolder(t), 'docker');
    mkdirSync(folder);
    const file = join(folder, 'daemon.json');
    for (const name of ['daemon.json', ...beside]) writeFileSync(join(folder, name), '{"live-restore":false}');
    takeBackEngineSettings(file, were, settings);
    assert.deepEqual(existsSync(folder) ? readdirSync(folder) : null, left, were);
    if (left?.includes('daemon.json') === true) assert.deepEqual(readEngineSettings(file), settings);
  }
});

test('the settings of Docker Engine stay unchanged on a full disk: it would not start with half of them', async (t) => {
  const disk = temporaryFolder(t);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], TIMEOUT);
  try {
    const file = join(disk, 'daemon.json');
    const text = JSON.stringify({ 'live-restore': true, labels: ['x'.repeat(5000)] });
    writeFileSync(file, text);
    assert.throws(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(131_072)), { code: 'ENOSPC' });
    const { labels } = readEngineSettings(file);
    assert.throws(() => writeEngineSettings(file, { labels, more: 'x'.repeat(5000) }), { code: 'ENOSPC' });
    assert.equal(readFileSync(file, 'utf8'), text);
    assert.deepEqual(readdirSync(disk).toSorted(), ['daemon.json', 'filler']);
    rmSync(join(disk, 'filler'));
  } finally {
    await run('umount', [disk], TIMEOUT);
  }
});

test('settings that are not JSON fail with an error that names the fix', (t) => {
  const file = join(temporaryFolder(t), 'daemon.json');
  writeFileSync(file, '{"live-restore": true,}');
  assert.throws(
    () => readEngineSettings(file),
    (error) => error instanceof OrkestrError && /daemon\.json is not readable JSON\. Correct it/.test(error.message),
  );
});
