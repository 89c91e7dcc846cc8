import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { neverStopWriting } from '../../test/harness/writer.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { deployJob, openTestJournal } from '../deployment/test-bench.ts';
import { copyJournal } from './copy.ts';
import { JOURNAL_FILE } from './database.ts';

test('the journal is copied completely while an agent never stops writing', async (t) => {
  const folder = temporaryFolder(t);
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  const journal = await openTestJournal(folder);
  const job = deployJob();
  journal.accept(job);
  const stopWriting = neverStopWriting(join(folder, JOURNAL_FILE));
  const late = new AbortController();
  t.after(() => late.abort());
  const made = await Promise.race([copyJournal(folder, copy), sleep(60_000, 'never', { signal: late.signal })]);
  stopWriting();
  journal.close();
  assert.equal(made, true);
  const copied = await openTestJournal(copy);
  assert.equal(copied.job(job.deploymentId)?.state, 'queued');
  copied.close();
});
