import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { sealerFromKeyFile } from '../../protocol/sealing.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { openTestJournal } from '../deployment/test-bench.ts';
import { deployJob } from '../deployment/test-job.ts';
import { loadSqlite } from './database.ts';
import { openJournal } from './journal.ts';
import { readJournal, readPayloads } from './snapshot.ts';

/** A state folder with one job, its journal closed cleanly. */
async function stateFolder(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  journal.accept(deployJob());
  journal.close();
  return folder;
}

test('a folder without a journal has no snapshot', async (t) => {
  assert.equal(await readJournal(temporaryFolder(t)), null);
});

test('a snapshot leaves no trace and includes the latest writes of an open journal', async (t) => {
  const folder = await stateFolder(t);
  const before = readdirSync(folder);
  const read = await readJournal(folder);
  assert.ok(read && 'deployments' in read);
  assert.deepEqual(readdirSync(folder), before);
  assert.deepEqual(
    read.deployments.map(({ state }) => state),
    ['queued'],
  );

  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  journal.accept(deployJob({ generation: 2 }));
  const beside = await readJournal(folder);
  assert.ok(beside && 'deployments' in beside);
  assert.deepEqual(
    beside.deployments.map(({ generation }) => generation),
    [2, 1],
  );
});

test('a snapshot distinguishes a damaged journal from that of a newer agent and changes neither', async (t) => {
  const folder = await stateFolder(t);
  const path = join(folder, 'journal.sqlite');
  const Sqlite = await loadSqlite();
  const database = new Sqlite(path);
  database.pragma('user_version = 999');
  database.close();
  const newer = await readJournal(folder);
  assert.ok(newer && 'unreadable' in newer);
  assert.equal(newer.unreadable, 'newer');

  const damaged = Buffer.alloc(8192, 'not a database ');
  writeFileSync(path, damaged);
  const broken = await readJournal(folder);
  assert.ok(broken && 'unreadable' in broken);
  assert.equal(broken.unreadable, 'damaged');
  assert.deepEqual(readFileSync(path), damaged);
});

test('payloads are decrypted with the key of the folder; without a key there are none', async (t) => {
  const folder = temporaryFolder(t);
  assert.deepEqual(await readPayloads(folder), []);
  const sealer = sealerFromKeyFile(join(folder, 'secret.key'));
  const journal = await openJournal({ stateFolder: folder, sealer, log: silent, now: Date.now });
  const job = deployJob({ env: { SECRET: 'opened again' } });
  journal.accept(job);
  journal.close();
  assert.deepEqual(await readPayloads(folder), [job]);
});
