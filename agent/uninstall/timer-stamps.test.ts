import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { removeTimerStamps } from './timer-stamps.ts';

test('timer stamps are removed with their timers; those of other timers stay, and a missing folder is no error', (t) => {
  const folder = temporaryFolder(t);
  for (const timer of ['orkestr-hub-backup.timer', 'apt-daily.timer'])
    writeFileSync(join(folder, `stamp-${timer}`), '');
  const units = ['orkestr-hub-backup.service', 'orkestr-hub-backup.timer', 'orkestr-other.timer'];
  removeTimerStamps(units, folder);
  assert.deepEqual(readdirSync(folder), ['stamp-apt-daily.timer']);
  removeTimerStamps(units, join(folder, 'none'));
});
