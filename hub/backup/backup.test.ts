/** Real state folders with a real database and real repositories, backed up and restored. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { neverStopWriting } from '../../test/harness/writer.ts';
import { Repositories } from '../git/repositories.ts';
import { lockState, prepareState } from '../state.ts';
import { openDatabase } from '../store/database.ts';
import { forgetOldest, makeBackup, restoreBackup } from './backup.ts';
import { makeHub, PROJECT, teamsOf } from './test-state.ts';

const NOW = new Date('2026-11-28T20:00:00Z');

interface Bench {
  readonly folder: string;
  readonly hub: string;
  readonly file: string;
  /** A commit on the branch, and one that a forced push removed: a rollback may still build it. */
  readonly commits: { readonly kept: string; readonly forced: string };
}

async function makeBench(t: TestContext): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'ork-backup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hub = join(folder, 'hub');
  const repository = await makeHub(hub);
  return { folder, hub, file: join(folder, 'hub.tar.gz'), commits: pushTwice(folder, repository) };
}

function pushTwice(folder: string, remote: string): Bench['commits'] {
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  const git = (...argv: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...argv], {
      cwd: tree,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  git('init', '--quiet', '--initial-branch=main');
  const commit = (): string => {
    git('commit', '--quiet', '--allow-empty', '--message', 'x', '--amend', '--date', `${Date.now()}`);
    return git('rev-parse', 'HEAD');
  };
  git('commit', '--quiet', '--allow-empty', '--message', 'first');
  writeFileSync(join(tree, 'a'), 'one');
  git('add', 'a');
  const forced = commit();
  git('push', '--quiet', remote, 'main');
  writeFileSync(join(tree, 'a'), 'two');
  git('add', 'a');
  const kept = commit();
  git('push', '--quiet', '--force', remote, 'main');
  return { kept, forced };
}

test('a backup taken while the hub runs restores everything: accounts, keys, every commit', async (t) => {
  const { folder, hub, file, commits } = await makeBench(t);
  const open = await openDatabase(prepareState(hub).database);
  assert.deepEqual(await makeBackup(hub, file, NOW), { file, repositories: 1 });
  await open.destroy();
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(
    readdirSync(hub).filter((name) => name.startsWith('.')),
    ['.backup.lock'],
    'nothing of the work is left',
  );

  const back = join(folder, 'back');
  const { from, previous } = await restoreBackup(back, file, { replace: false, now: NOW });
  assert.equal(from.at, NOW.toISOString());
  assert.equal(previous, null);
  assert.deepEqual(await teamsOf(back), ['First']);
  for (const key of ['hub-key.pem', 'secret.key']) {
    assert.equal(readFileSync(join(back, key), 'utf8'), readFileSync(join(hub, key), 'utf8'));
    assert.equal(statSync(join(back, key)).mode & 0o777, 0o600);
  }
  const repositories = new Repositories(back);
  await repositories.prepare();
  assert.equal(await repositories.resolve(PROJECT, 'main'), commits.kept);
  assert.ok(await repositories.hasCommit(PROJECT, commits.forced));
});

test('branches and tags are restored with any name that git allows', async (t) => {
  const { folder, hub, file, commits } = await makeBench(t);
  const path = new Repositories(hub).path(PROJECT);
  const deep = Array.from({ length: 8 }, () => 'd'.repeat(100)).join('/');
  const names = ['heads/feature/#123', 'heads/fix/ümlaut', 'heads/a(b)', "heads/it's", 'tags/x%y', `heads/${deep}`];
  for (const name of names) execFileSync('git', [`--git-dir=${path}`, 'update-ref', `refs/${name}`, commits.kept]);
  await makeBackup(hub, file, NOW);
  const back = join(folder, 'back');
  await restoreBackup(back, file, { replace: false, now: NOW });
  const refs = (state: string): string => {
    const argv = [`--git-dir=${new Repositories(state).path(PROJECT)}`, 'for-each-ref'];
    return execFileSync('git', argv, { encoding: 'utf8' });
  };
  assert.equal(refs(back), refs(hub));
  assert.equal(refs(back).trim().split('\n').length, names.length + 1);
});

test('a backup completes although the hub never stops writing', async (t) => {
  const { hub, file } = await makeBench(t);
  const stopWriting = neverStopWriting(prepareState(hub).database);
  const late = new AbortController();
  t.after(() => late.abort());
  const limit = sleep(60_000, 'never', { signal: late.signal });
  const made = await Promise.race([makeBackup(hub, file, NOW), limit]);
  stopWriting();
  assert.deepEqual(made, { file, repositories: 1 });
});

test('nothing is overwritten: neither a file by a backup nor, without --replace, a hub by a restore', async (t) => {
  const { hub, file } = await makeBench(t);
  await makeBackup(hub, file, NOW);
  await assert.rejects(makeBackup(hub, file, NOW), { code: 'ORK_CONFLICT' });
  await assert.rejects(restoreBackup(hub, file, { replace: false, now: NOW }), { code: 'ORK_CONFLICT' });
  const { previous } = await restoreBackup(hub, file, { replace: true, now: NOW });
  assert.ok(previous !== null && existsSync(join(previous, 'hub.sqlite')));
  assert.deepEqual(await teamsOf(hub), ['First']);
});

test('a running hub cannot be restored over', async (t) => {
  const { hub, file } = await makeBench(t);
  await makeBackup(hub, file, NOW);
  const release = await lockState(prepareState(hub).lock);
  await assert.rejects(restoreBackup(hub, file, { replace: true, now: NOW }), { code: 'ORK_ALREADY_RUNNING' });
  release();
});

test('an archive that is truncated, changed or not a backup is refused, and the hub stays as it is', async (t) => {
  const { folder, hub, file } = await makeBench(t);
  await makeBackup(hub, file, NOW);
  const tar = gunzipSync(readFileSync(file));
  const variants: Record<string, Buffer> = {
    'cut in the gzip': readFileSync(file).subarray(0, 5000),
    'cut in the tar': gzipSync(tar.subarray(0, Math.floor(tar.length / 2 / 512) * 512)),
    'without its manifest': gzipSync(
      Buffer.concat([tar.subarray(0, tar.indexOf('manifest.json')), Buffer.alloc(1024)]),
    ),
    changed: gzipSync(Buffer.from(tar.toString('latin1').replace('root@localhost', 'toor@localhost'), 'latin1')),
    'no gzip': Buffer.from('hello'),
    empty: Buffer.alloc(0),
  };
  for (const [name, bytes] of Object.entries(variants)) {
    const path = join(folder, 'variant');
    writeFileSync(path, bytes);
    const restored = restoreBackup(hub, path, { replace: true, now: NOW });
    await assert.rejects(restored, { code: 'ORK_BACKUP_UNREADABLE' }, name);
    assert.deepEqual(await teamsOf(hub), ['First']);
  }
});

test('no entry of an archive is extracted outside the folder', async (t) => {
  const { folder, hub, file } = await makeBench(t);
  for (const name of ['../evil', '/evil', 'git/../../evil', 'a//b', '.']) {
    execFileSync('tar', [
      '--create',
      '--gzip',
      '--absolute-names',
      `--transform=s|.*|${name}|`,
      '--file',
      file,
      '/etc/hostname',
    ]);
    const restored = restoreBackup(hub, file, { replace: true, now: NOW });
    await assert.rejects(restored, { code: 'ORK_BACKUP_UNREADABLE' }, name);
  }
  for (const place of [folder, hub, '/']) assert.ok(!existsSync(join(place, 'evil')), place);
});

test('a damaged repository fails the backup instead of making one that looks complete', async (t) => {
  const { hub, file, commits } = await makeBench(t);
  const objects = join(new Repositories(hub).path(PROJECT), 'objects');
  rmSync(join(objects, commits.kept.slice(0, 2)), { recursive: true });
  await assert.rejects(makeBackup(hub, file, NOW), { code: 'ORK_BACKUP_INCOMPLETE', message: new RegExp(PROJECT) });
  assert.ok(!existsSync(file));
});

test('without a hub there is nothing to back up', async (t) => {
  const { folder, file } = await makeBench(t);
  await assert.rejects(makeBackup(join(folder, 'none'), file, NOW), { code: 'ORK_NOT_FOUND' });
});

test('backups in a folder are named by their time, and only the newest are kept', async (t) => {
  const { folder, hub } = await makeBench(t);
  const kept = join(folder, 'kept');
  mkdirSync(kept);
  writeFileSync(join(kept, 'hub.tar.gz'), 'somebody else wrote this');
  writeFileSync(join(kept, 'hub-20261127T000000Z.tar.gz.part'), 'half of one, from a run that was killed');
  for (const hour of [1, 2]) await makeBackup(hub, kept, new Date(`2026-11-28T0${hour}:00:00Z`));
  const { file } = await makeBackup(hub, kept, new Date('2026-11-28T03:00:00Z'));
  assert.equal(await forgetOldest(file, 2), 1);
  assert.deepEqual(readdirSync(kept).toSorted(), [
    'hub-20261128T020000Z.tar.gz',
    'hub-20261128T030000Z.tar.gz',
    'hub.tar.gz',
  ]);
});

test('the new backup is kept, and backups dated in the future are deleted first', async (t) => {
  const { folder, hub } = await makeBench(t);
  const kept = join(folder, 'kept');
  mkdirSync(kept);
  for (const day of ['20261127', '20270101', '20270102']) writeFileSync(join(kept, `hub-${day}T000000Z.tar.gz`), '');
  const { file } = await makeBackup(hub, kept, NOW);
  assert.equal(await forgetOldest(file, 2), 2);
  assert.deepEqual(readdirSync(kept).toSorted(), ['hub-20261127T000000Z.tar.gz', 'hub-20261128T200000Z.tar.gz']);
});

test('the second of two concurrent backups is refused and does not disturb the first', async (t) => {
  const { folder, hub, file } = await makeBench(t);
  const other = join(folder, 'other.tar.gz');
  const results = await Promise.allSettled([makeBackup(hub, file, NOW), makeBackup(hub, other, NOW)]);
  const refused = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as { code: string }] : [],
  );
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['ORK_ALREADY_RUNNING'],
  );
  const whole = existsSync(file) ? file : other;
  await restoreBackup(join(folder, 'back'), whole, { replace: false, now: NOW });
});

test('leftovers of a killed backup are removed, and the next backup succeeds', async (t) => {
  const { folder, hub, file } = await makeBench(t);
  mkdirSync(join(hub, '.backup-killed'));
  writeFileSync(`${file}.part`, 'half of one');
  await makeBackup(hub, file, NOW);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('tar.gz')),
    ['hub.tar.gz'],
  );
  assert.ok(!existsSync(join(hub, '.backup-killed')));
});

test('files that root creates in the hub of another user belong to that user', async (t) => {
  const { hub, file } = await makeBench(t);
  chownSync(hub, 12_345, 12_345);
  await makeBackup(hub, file, NOW);
  await restoreBackup(hub, file, { replace: true, now: NOW });
  for (const name of ['.backup.lock', 'hub.lock', 'hub.sqlite', 'git']) {
    assert.equal(statSync(join(hub, name)).uid, 12_345, name);
  }
});
