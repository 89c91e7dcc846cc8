import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../test/harness/until.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { watchFolder } from './quota.ts';

const LIMITS = { bytes: 1000, files: 10, timeoutMs: 1000 };

test('a failed watch of a checkout is reported once, a vanished file is not, and the watch continues', async (t) => {
  const folder = join(temporaryFolder(t), 'checkout');
  const stop = new AbortController();
  const lines: string[] = [];
  t.after(watchFolder(folder, LIMITS, stop, { line: (text) => lines.push(text) }, 1));
  await new Promise((resolve) => setTimeout(resolve, 20)); // several polls of a folder that does not exist yet
  writeFileSync(folder, 'no folder');
  await until(() => lines.length > 0);
  assert.match(lines[0] ?? '', /^The size of the checkout could not be watched: .*ENOTDIR/);
  rmSync(folder);
  mkdirSync(folder);
  writeFileSync(join(folder, 'large'), Buffer.alloc(LIMITS.bytes + 1));
  await until(() => stop.signal.aborted);
  assert.equal(stop.signal.reason.code, 'ORK_REPO_TOO_LARGE');
  assert.equal(lines.length, 1);
});
