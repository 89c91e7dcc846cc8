import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { layoutAt, linkTo } from './layout.ts';
import { pruneReleases } from './releases.ts';

test('the running release, the one before it and those of processes that still run are kept, and all others removed', async (t) => {
  const layout = layoutAt(temporaryFolder(t));
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0', '2.0.0']) {
    mkdirSync(join(layout.releases, version, 'bin'), { recursive: true });
  }
  linkTo(layout.current, '2.0.0');
  symlinkSync('releases/1.3.0', layout.previous);
  const draining = join(layout.releases, '1.1.0/bin/proxy');
  copyFileSync('/bin/sleep', draining);
  const proxy = spawn(draining, ['60']);
  t.after(() => proxy.kill());
  await once(proxy, 'spawn');
  assert.deepEqual(pruneReleases(layout).toSorted(), ['1.0.0', '1.2.0']);
  assert.deepEqual(readdirSync(layout.releases).toSorted(), ['1.1.0', '1.3.0', '2.0.0']);
  proxy.kill();
  await once(proxy, 'exit');
  assert.deepEqual(pruneReleases(layout), ['1.1.0']);
});
