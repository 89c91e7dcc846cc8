/** Backups and restores on file systems that are really full. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, openSync, closeSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ourEnv } from '../../test/harness/our-program.ts';
import { prepareState } from '../state.ts';
import { openDatabase } from '../store/database.ts';
import { makeBackup, restoreBackup } from './backup.ts';
import { makeHub, teamsOf } from './test-state.ts';

const MIB = 1024 ** 2;
const NOW = new Date('2026-11-28T20:00:00Z');
const LATER = new Date('2026-11-28T21:00:00Z');

interface Disk {
  readonly folder: string;
  /** Writes a file that leaves this many bytes free. */
  fillUpTo(free: number): void;
}

function disk(t: TestContext, ...options: string[]): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'ork-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder]);
  t.after(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    fillUpTo(free) {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(join(folder, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - free)));
    },
  };
}

/** Adds incompressible data. */
const addObject = (remote: string, bytes: number): void =>
  void execFileSync('git', [`--git-dir=${remote}`, 'hash-object', '-w', '--stdin'], { input: randomBytes(bytes) });

const work = (hub: string): string[] => readdirSync(hub).filter((name) => /^\.backup-|^before-/.test(name));

test('a backup without disk space is reported as such; the previous backup stays intact', async (t) => {
  const home = disk(t, 'size=200m');
  const hub = join(home.folder, 'hub');
  const repository = await makeHub(hub);
  const target = disk(t, 'size=2m');
  const { file } = await makeBackup(hub, target.folder, NOW);
  addObject(repository, 4 * MIB);
  await assert.rejects(makeBackup(hub, target.folder, LATER), {
    code: 'ORK_DISK_FULL',
    message: new RegExp(`disk of ${target.folder} has no room for the backup: .*[KM]iB and \\d+ inodes were free`),
  });
  assert.deepEqual(readdirSync(target.folder), ['hub-20261128T200000Z.tar.gz']);
  assert.deepEqual(work(hub), []);
  await restoreBackup(hub, file, { replace: true, now: LATER });
  assert.deepEqual(await teamsOf(hub), ['First']);
});

test('leftovers of a killed backup are deleted before the next one needs the space', async (t) => {
  const home = disk(t, 'size=200m');
  const hub = join(home.folder, 'hub');
  await makeHub(hub);
  mkdirSync(join(hub, '.backup-killed'));
  for (const rest of ['hub-20261127T000000Z.tar.gz.part', 'hub/.backup-killed/hub.sqlite']) {
    writeFileSync(join(home.folder, rest), Buffer.alloc(40 * MIB));
  }
  home.fillUpTo(10 * MIB);
  await makeBackup(hub, home.folder, NOW);
  assert.deepEqual(
    readdirSync(home.folder).filter((name) => name.startsWith('hub-')),
    ['hub-20261128T200000Z.tar.gz'],
  );
});

test('a backup stops before it takes the space reserved for the hub, which keeps writing meanwhile', async (t) => {
  const home = disk(t, 'size=120m');
  const hub = join(home.folder, 'hub');
  addObject(await makeHub(hub), 30 * MIB);
  home.fillUpTo(80 * MIB);
  const db = await openDatabase(prepareState(hub).database);
  let [writes, least] = [0, Infinity];
  const over = new AbortController();
  const writing = (async () => {
    while (!over.signal.aborted) {
      await db.updateTable('team').set({ name: 'First' }).execute();
      const { bavail, bsize } = statfsSync(home.folder);
      least = Math.min(least, bavail * bsize);
      writes += 1;
      await new Promise(setImmediate);
    }
  })();
  try {
    await assert.rejects(makeBackup(hub, join(home.folder, 'hub.tar.gz'), NOW), {
      code: 'ORK_DISK_FULL',
      message: /64 MiB and 100 inodes must stay free for the hub/,
    });
  } finally {
    over.abort();
    await writing;
    await db.destroy();
  }
  assert.ok(writes > 0);
  assert.ok(least > 48 * MIB && least < 72 * MIB, `${least / MIB} MiB were free: some was written, and not too much`);
  assert.deepEqual(readdirSync(home.folder).toSorted(), ['filler', 'hub']);
  assert.deepEqual(work(hub), []);
});

test('a backup whose copy would take the space reserved for the hub does not start', async (t) => {
  const home = disk(t, 'size=80m');
  const hub = join(home.folder, 'hub');
  await makeHub(hub);
  home.fillUpTo(60 * MIB);
  await assert.rejects(makeBackup(hub, disk(t, 'size=10m').folder, NOW), {
    code: 'ORK_DISK_FULL',
    message: /has 60(?:\.\d)? MiB and \d+ inodes free; .* are needed, and 64 MiB/,
  });
  assert.deepEqual(await teamsOf(hub), ['First']);
});

test('running out of inodes is reported as a full disk, too', async (t) => {
  const home = disk(t, 'size=200m');
  const hub = join(home.folder, 'hub');
  await makeHub(hub);
  const target = disk(t, 'size=10m', 'nr_inodes=2');
  closeSync(openSync(join(target.folder, 'last'), 'w'));
  await assert.rejects(makeBackup(hub, target.folder, NOW), {
    code: 'ORK_DISK_FULL',
    message: /and 0 inodes were free/,
  });
});

test('a full standard output is reported as a full disk', async (t) => {
  const home = disk(t, 'size=200m');
  const hub = join(home.folder, 'hub');
  await makeHub(hub);
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, '../main.ts'), 'backup', '-'], {
    env: ourEnv({ ORKESTR_HUB_STATE: hub }),
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /^ORK_DISK_FULL: There is no room for the backup where standard output/);
});

test('a restore on a full disk reports it and leaves the existing hub as it was', async (t) => {
  const home = disk(t, 'size=200m');
  const source = join(home.folder, 'hub');
  addObject(await makeHub(source), 8 * MIB);
  const { file } = await makeBackup(source, join(home.folder, 'hub.tar.gz'), NOW);
  const small = disk(t, 'size=6m');
  const hub = join(small.folder, 'hub');
  await makeHub(hub);
  await assert.rejects(restoreBackup(hub, file, { replace: true, now: LATER }), {
    code: 'ORK_DISK_FULL',
    message: /has no room for what is in the backup: .* were free/,
  });
  assert.deepEqual(work(hub), []);
  assert.deepEqual(await teamsOf(hub), ['First']);

  const fresh = join(small.folder, 'fresh');
  mkdirSync(fresh);
  await assert.rejects(restoreBackup(fresh, file, { replace: false, now: LATER }), { code: 'ORK_DISK_FULL' });
  assert.deepEqual(
    readdirSync(fresh).filter((name) => !name.endsWith('.lock')),
    [],
    'nothing is half there',
  );
});
