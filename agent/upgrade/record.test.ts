import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { watchUpgrade } from './record.ts';

test('a record is watched even where the kernel reports no changes, as in a folder that does not exist yet', async (t) => {
  const folder = join(temporaryFolder(t), 'later');
  const file = join(folder, 'upgrade.json');
  const changed = new Promise<void>((resolve) => {
    const stop = watchUpgrade(file, resolve);
    t.after(stop);
  });
  mkdirSync(folder);
  writeFileSync(file, '{}');
  await changed;
});
