import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deployJob, openTestJournal, temporaryFolder } from '../test-bench.ts';
import { copyJournal } from './copy.ts';
import { JOURNAL_FILE, loadSqlite } from './database.ts';

test('the journal is copied whole beside an agent that never stops writing', async (t) => {
  const folder = temporaryFolder(t);
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  const journal = await openTestJournal(folder);
  const job = deployJob();
  journal.accept(job);
  const Sqlite = await loadSqlite();
  const writer = new Sqlite(join(folder, JOURNAL_FILE));
  writer.pragma('synchronous = OFF');
  writer.exec('CREATE TABLE filler (bytes BLOB)');
  const write = writer.prepare('INSERT INTO filler VALUES (zeroblob(?))');
  for (let n = 0; n < 20; n += 1) write.run(100_000);
  let turn = setImmediate(function again() {
    write.run(1);
    turn = setImmediate(again);
  });
  const late = new AbortController();
  t.after(() => late.abort());
  const made = await Promise.race([copyJournal(folder, copy), sleep(10_000, 'never', { signal: late.signal })]);
  clearImmediate(turn);
  writer.close();
  journal.close();
  assert.equal(made, true);
  const copied = await openTestJournal(copy);
  assert.equal(copied.job(job.deploymentId)?.state, 'queued');
  copied.close();
});
