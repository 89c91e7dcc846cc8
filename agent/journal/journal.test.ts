import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { OrkestrError } from '../../protocol/errors.ts';
import { RemoveJob } from '../../protocol/job.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { makeSealer } from '../../protocol/sealing.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { silent } from '../lib/test-logger.ts';
import { openTestJournal } from '../deployment/test-bench.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import { loadSqlite } from './database.ts';
import { openJournal } from './journal.ts';
import { lockState } from './lock.ts';

const code = (expected: string) => (error: unknown) => error instanceof OrkestrError && error.code === expected;
const AT = new Date(0).toISOString();

test('a runtime that cannot load the SQLite addon fails with a clear message before anything crashes', async () => {
  await assert.rejects(loadSqlite('9'), /too old: the agent needs N-API 10/);
  await assert.rejects(loadSqlite('no number'), code('ORK_CONFIG'));
});

test('a job is accepted once, however often and in whatever order it is delivered', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const [first, second] = [deployJob({ generation: 5 }), deployJob({ generation: 6 })];
  assert.equal(journal.accept(second), 'new');
  assert.equal(journal.accept(second), 'known');
  assert.equal(journal.accept(first), 'stale', 'older than the newest of its environment');
  assert.equal(journal.accept(deployJob({ generation: 6 })), 'stale', 'the same generation under another id');
  const elsewhere = deployJob({ generation: 1, environment: { id: IDS.host, slug: 'staging' } });
  assert.equal(journal.accept(elsewhere), 'new');
  assert.deepEqual(
    journal.unfinished().map(({ deploymentId }) => deploymentId),
    [second.deploymentId, elsewhere.deploymentId],
  );
});

test('env values and tokens are never stored in plain text, and are deleted once the job neither runs nor serves', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  const job = deployJob({ env: { KEY: 'canary-in-the-coal-mine' } });
  journal.accept(job);
  assert.deepEqual(journal.payload(job.deploymentId), job);
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
  assert.ok(!files.some((text) => text.includes('canary-in-the-coal-mine')));
  journal.record({ deploymentId: job.deploymentId, state: 'failed' });
  assert.throws(() => journal.payload(job.deploymentId), code('ORK_CONFIG'));
  journal.close();
});

test('a job sealed with another key file fails with ORK_CONFIG', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  const job = deployJob();
  journal.accept(job);
  journal.close();
  const other = await openJournal({
    stateFolder: folder,
    sealer: makeSealer(Buffer.alloc(32, 9)),
    log: silent,
    now: Date.now,
  });
  assert.throws(() => other.payload(job.deploymentId), code('ORK_CONFIG'));
  other.close();
});

test('a change is stored completely or not at all', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const broken = { name: 'build', state: 'done', output: { big: 1n }, note: null, error: null, startedAt: AT, ms: 1 };
  const steps = [{ ...broken, undone: false } as never];
  assert.throws(() => journal.record({ deploymentId: job.deploymentId, state: 'running', steps }), /BigInt/);
  assert.equal(journal.job(job.deploymentId)?.state, 'queued');
  assert.equal(journal.outbox.size(), 0);
});

test('a damaged file is moved aside whole, and an empty journal replaces it', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'journal.sqlite');
  writeFileSync(path, 'this is no database at all, however long it is. '.repeat(100));
  const journal = await openTestJournal(folder, () => 1234);
  t.after(() => journal.close());
  assert.equal(journal.quarantined, join(folder, 'journal.sqlite.damaged-1234'));
  assert.match(readFileSync(join(journal.quarantined, 'journal.sqlite'), 'utf8'), /no database at all/);
  assert.equal(journal.accept(deployJob()), 'new');
});

test('damage in the middle of the file is found at startup, not when the page is needed', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  for (let index = 0; index < 50; index++) journal.accept(deployJob({ generation: index + 1 }));
  journal.close();
  const path = join(folder, 'journal.sqlite');
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 4096 * 3, 4096 * 6);
  writeFileSync(path, bytes);
  const again = await openTestJournal(folder);
  t.after(() => again.close());
  assert.notEqual(again.quarantined, null);
  assert.deepEqual(again.unfinished(), []);
});

test('only the newest few damaged journals are kept', async (t) => {
  const folder = temporaryFolder(t);
  for (let now = 1; now <= 6; now++) {
    writeFileSync(join(folder, 'journal.sqlite'), 'not a database '.repeat(100));
    (await openTestJournal(folder, () => now)).close();
  }
  assert.equal(readdirSync(folder).filter((name) => name.includes('damaged')).length, 3);
});

test('the journal opens with a write-ahead log cut at any page and has everything committed up to there', async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, 'source');
  mkdirSync(source);
  const journal = await openTestJournal(source);
  const jobs = Array.from({ length: 6 }, (_, index) => deployJob({ generation: index + 1 }));
  for (const job of jobs) journal.accept(job);
  const crashed = join(folder, 'crashed');
  cpSync(source, crashed, { recursive: true }); // as after a power cut: the WAL is not checkpointed yet
  journal.close();
  const walSize = statSync(join(crashed, 'journal.sqlite-wal')).size;
  let before = -1;
  for (let size = 0; size <= walSize; size += 4096) {
    const cut = join(folder, `cut-${size}`);
    cpSync(crashed, cut, { recursive: true });
    truncateSync(join(cut, 'journal.sqlite-wal'), size);
    const reopened = await openTestJournal(cut);
    const found = reopened.unfinished().map(({ deploymentId }) => deploymentId);
    reopened.close();
    assert.deepEqual(
      found,
      jobs.slice(0, found.length).map(({ deploymentId }) => deploymentId),
    );
    assert.ok(found.length >= before, 'a longer log never holds less');
    before = found.length;
  }
  assert.ok(before >= jobs.length - 1);
});

test('a migration keeps a copy of the journal that the older agent can read; a new journal has no copy', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'journal.sqlite');
  (await openTestJournal(folder)).close();
  assert.equal(existsSync(`${path}.before`), false);
  rmSync(path);
  const old = new Sqlite(path);
  old.exec(readFileSync(join(import.meta.dirname, 'schema', '001-start.sql'), 'utf8'));
  old.exec("INSERT INTO meta VALUES ('who', 'the older one')");
  old.pragma('user_version = 1');
  old.close();
  (await openTestJournal(folder)).close();
  const copy = new Sqlite(`${path}.before`, { readonly: true });
  assert.equal(copy.pragma('user_version', { simple: true }), 1);
  assert.equal(copy.prepare('SELECT value FROM meta').pluck().get(), 'the older one');
  copy.close();
  assert.equal(statSync(`${path}.before`).mode & 0o777, 0o600);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('the journal of a newer agent is refused and not changed', async (t) => {
  const folder = temporaryFolder(t);
  (await openTestJournal(folder)).close();
  const raw = new Sqlite(join(folder, 'journal.sqlite'));
  raw.pragma('user_version = 99');
  raw.close();
  await assert.rejects(openTestJournal(folder), /has schema 99, this agent knows up to/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('damaged')),
    [],
  );
});

test('pruning deletes old deployments, but none that is live or still has log to send', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const jobs = Array.from({ length: 6 }, (_, index) => deployJob({ generation: index + 1 }));
  for (const job of jobs) {
    journal.accept(job);
    journal.record({ deploymentId: job.deploymentId, state: 'failed' });
  }
  const [live, logging, ...rest] = jobs.map(({ deploymentId }) => deploymentId);
  const target = { id: live ?? '', address: '172.30.0.2', port: 80 };
  journal.adopt({
    environmentId: IDS.environment,
    projectId: IDS.project,
    deploymentId: live ?? '',
    entry: UpstreamEntry.parse({ id: IDS.environment, generation: 1, targets: [target], routes: [] }),
    healthCheck: null,
    release: null,
  });
  journal.outbox.addLogRange(logging ?? '', 'build', 0, 10);
  assert.deepEqual([...journal.prune(2)].sort(), rest.slice(0, 2).sort());
  assert.equal(journal.job(rest[0] ?? ''), null);
  assert.notEqual(journal.job(live ?? ''), null);
});

test('pruning deletes the other jobs of a removed environment and keeps only the removal', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const [deployed, kept] = [deployJob(), deployJob({ environment: { id: IDS.host, slug: 'other' } })];
  const removal = RemoveJob.parse({ ...deployJob({ generation: 2 }), kind: 'remove' });
  for (const job of [deployed, kept, removal]) journal.accept(job);
  for (const { deploymentId } of [deployed, kept]) journal.record({ deploymentId, state: 'failed' });
  journal.record({ deploymentId: removal.deploymentId, state: 'failed' });
  assert.deepEqual(journal.prune(20), [], 'a removal that failed is tried again, and says what of');
  journal.record({ deploymentId: removal.deploymentId, state: 'superseded' });
  assert.deepEqual(journal.prune(20), [deployed.deploymentId]);
  assert.equal(journal.accept(removal), 'known', 'the hub may ask again');
  assert.equal(journal.accept(deployed), 'stale');
});

test('a refused job is stored, reported, and not run when it is delivered again', async (t) => {
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const job = deployJob();
  journal.refuse(job, { code: 'ORK_QUEUE_FULL', message: 'full', evidence: [] }, AT);
  assert.equal(journal.accept(job), 'known');
  assert.deepEqual(journal.unfinished(), []);
  assert.equal(journal.outbox.size(), 1);
  journal.outbox.acknowledge(1);
  journal.reannounce(job.deploymentId);
  assert.equal(journal.outbox.size(), 1, 'a hub that asks again gets the same answer');
});

test('excess log waiting to be sent is dropped oldest first and becomes one mark; reports are never dropped', async (t) => {
  const folder = temporaryFolder(t);
  const journal = await openJournal({
    stateFolder: folder,
    sealer: makeSealer(Buffer.alloc(32)),
    log: silent,
    now: Date.now,
    outboxLimits: { maxLogBytes: 1000, maxLogRows: 100 },
  });
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  const report = {
    kind: 'deployment',
    deploymentId: job.deploymentId,
    generation: 1,
    status: 'running',
    at: AT,
  } as const;
  journal.outbox.add(report);
  for (let offset = 0; offset < 5000; offset += 100) journal.outbox.addLogRange(job.deploymentId, 'build', offset, 100);
  journal.outbox.add(report);
  const rows = journal.outbox.after(0, 1000);
  assert.equal(rows.filter(({ kind }) => kind === 'report').length, 2);
  const logs = rows.flatMap((row) => (row.kind === 'log' ? [row] : []));
  assert.deepEqual(
    logs.slice(0, 2).map(({ dropped, offset, length }) => ({ dropped, offset, length })),
    [
      { dropped: true, offset: 0, length: 4000 },
      { dropped: false, offset: 4000, length: 100 },
    ],
  );
  assert.equal(logs.length, 11);
  const sequences = journal.outbox.following(0, 1000).map(({ sequence }) => sequence);
  assert.deepEqual(
    sequences,
    rows.map((_, index) => index + 1),
    'the hub would miss those between for ever',
  );
});

test('a log range that is already sent is not dropped', async (t) => {
  const journal = await openJournal({
    stateFolder: temporaryFolder(t),
    sealer: makeSealer(Buffer.alloc(32)),
    log: silent,
    now: Date.now,
    outboxLimits: { maxLogBytes: 150, maxLogRows: 100 },
  });
  t.after(() => journal.close());
  const job = deployJob();
  journal.accept(job);
  journal.outbox.addLogRange(job.deploymentId, 'build', 0, 100);
  journal.outbox.markSent(1);
  journal.outbox.addLogRange(job.deploymentId, 'build', 100, 100);
  const rows = journal.outbox.after(0, 10);
  assert.deepEqual(
    rows.map((row) => row.kind === 'log' && row.dropped),
    [false, true],
  );
});

test('a sequence number is never reused, even after all are acknowledged and the agent restarts', async (t) => {
  const folder = temporaryFolder(t);
  const report = { kind: 'deployment', deploymentId: IDS.host, generation: 1, status: 'running', at: AT } as const;
  const journal = await openTestJournal(folder);
  journal.outbox.resume(0);
  journal.outbox.add(report);
  journal.outbox.add(report);
  journal.outbox.acknowledge(2);
  journal.close();
  const again = await openTestJournal(folder);
  t.after(() => again.close());
  again.outbox.resume(2);
  again.outbox.add(report);
  assert.equal(again.outbox.after(0, 10)[0]?.sequence, 3);
});

test('waiting reports are numbered after those the hub has, even if the hub was restored from a backup', async (t) => {
  const report = { kind: 'deployment', deploymentId: IDS.host, generation: 1, status: 'running', at: AT } as const;
  const journal = await openTestJournal(temporaryFolder(t));
  t.after(() => journal.close());
  const { outbox } = journal;
  const numbersAfter = (last: number): number[] => outbox.following(last, 10).map(({ sequence }) => sequence);
  outbox.resume(0);
  for (let count = 0; count < 7; count++) outbox.add(report);
  outbox.acknowledge(5);
  outbox.resume(2);
  assert.deepEqual(numbersAfter(2), [3, 4]);
  outbox.add(report);
  outbox.acknowledge(5);
  outbox.resume(1);
  outbox.add(report);
  assert.deepEqual(numbersAfter(1), [2], 'also when nothing waited');
});

test('a second agent on the same state folder is refused with an error that names the first', async (t) => {
  const folder = temporaryFolder(t);
  const lock = await lockState(folder);
  await assert.rejects(lockState(folder), new RegExp(`process ${process.pid}`));
  await assert.rejects(lockState(folder), code('ORK_ALREADY_RUNNING'));
  lock.release();
  (await lockState(folder)).release();
  assert.ok(!existsSync(join(folder, 'agent.pid')));
});

test('the lock of a killed agent is free at once, whatever pid file it left', async (t) => {
  const folder = temporaryFolder(t);
  const script = `
    import { lockState } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    await lockState(${JSON.stringify(folder)});
    process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await assert.rejects(lockState(folder), new RegExp(`process ${child.pid}\\)`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(existsSync(join(folder, 'agent.pid')), 'the stale pid file is there');
  (await lockState(folder)).release();
});

test('a live deployment in a journal of the first version is read with its target', async (t) => {
  const folder = temporaryFolder(t);
  const old = new Sqlite(join(folder, 'journal.sqlite'));
  old.exec(readFileSync(join(import.meta.dirname, 'schema', '001-start.sql'), 'utf8'));
  old.pragma('user_version = 1');
  const target = { id: IDS.host, address: '172.30.0.2', port: 80 };
  const entry = JSON.stringify({ id: IDS.environment, generation: 7, target, routes: [] });
  old
    .prepare('INSERT INTO live (environment_id, project_id, deployment_id, entry) VALUES (?, ?, ?, ?)')
    .run(IDS.environment, IDS.project, IDS.host, entry);
  old.close();
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const expected = UpstreamEntry.parse({ id: IDS.environment, generation: 7, targets: [target], routes: [] });
  assert.deepEqual(journal.live(IDS.environment)?.entry, expected);
  journal.moveLive(IDS.environment, '172.30.0.9');
  assert.equal(journal.live(IDS.environment)?.entry.targets[0]?.address, '172.30.0.9');
});
