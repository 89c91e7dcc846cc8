import assert from 'node:assert/strict';
import { chmodSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { run } from '../lib/exec.ts';
import { temporaryFolder } from '../test-bench.ts';
import { readEngineSettings, writeEngineSettings } from './engine-settings.ts';

const TIMEOUT = { timeoutMs: 10_000 };

test('settings are written where their link leads, and keep their mode', (t) => {
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

test('on a full disk the settings of Docker Engine stay as they are: it would not start with half of them', async (t) => {
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

test('settings that are no JSON are told with the mend', (t) => {
  const file = join(temporaryFolder(t), 'daemon.json');
  writeFileSync(file, '{"live-restore": true,}');
  assert.throws(
    () => readEngineSettings(file),
    (error) => error instanceof OrkestrError && /daemon\.json is not readable JSON\. Correct it/.test(error.message),
  );
});
