import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { watchUpgrade } from './record.ts';

test('a record is watched also where the kernel tells nothing of changes, as in a folder that is not there yet', async (t) => {
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
