/** What a hub cannot be made anew without, as it is at one moment, taken beside a hub that runs. */
import { existsSync } from 'node:fs';
import { copyFile, cp, link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Repositories } from '../git/repositories.ts';
import { runGit } from '../git/run.ts';
import type { StatePaths } from '../state.ts';

/** Times that a repository is begun anew because git took files away meanwhile (it packs after a push, now and then). */
const TRIES = 5;
/** Before the next try, ms. */
const PAUSE_MS = 100;
const CHECK_MS = 10 * 60_000;
/** Branches that git has packed. */
const PACKED_REFS = 'packed-refs';
const COPIED_APART = ['objects', PACKED_REFS];

interface Snapshot {
  readonly repositories: number;
}

/**
 * Lays a copy of `state` into the empty folder `into`, on the same file system: packs of git never change once written, so
 * they are linked and take no room.
 * @throws OrkestrError ORK_NOT_FOUND when there is no hub in `stateFolder`, ORK_BACKUP_INCOMPLETE when a repository is damaged
 */
export async function takeSnapshot(stateFolder: string, state: StatePaths, into: string): Promise<Snapshot> {
  // First the database: what it names is in git already, for git is pushed to before a deployment is written down.
  await copyDatabase(state.database, join(into, basename(state.database)));
  for (const key of [state.secretKey, state.hubKey]) await copyFile(key, join(into, basename(key)));
  const repositories = new Repositories(stateFolder);
  await mkdir(join(into, 'git'));
  let copied = 0;
  for (const name of await repositories.list()) {
    if (await copyRepository(join(repositories.root, name), join(into, 'git', name), repositories.env)) copied += 1;
  }
  return { repositories: copied };
}

/** What it takes on the disk, bytes: the database. All else is linked, or small. */
export async function snapshotSize({ database }: StatePaths): Promise<number> {
  const sizes = [database, `${database}-wal`].map((path) => stat(path).then(({ size }) => size, ifMissing(0)));
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function copyDatabase(from: string, to: string): Promise<void> {
  const { default: Sqlite } = await import('better-sqlite3');
  let database: InstanceType<typeof Sqlite>;
  try {
    database = new Sqlite(from, { readonly: true, fileMustExist: true });
  } catch (cause) {
    throw new OrkestrError('ORK_NOT_FOUND', `There is no hub here: ${from} cannot be opened.`, { cause });
  }
  try {
    // All of one moment. The backup API begins anew whenever another process writes (sqlite.org/backup.html), without end.
    database.prepare('VACUUM INTO ?').run(to);
  } finally {
    database.close();
  }
}

/** False for one that is no more: its project was deleted meanwhile. */
async function copyRepository(from: string, to: string, env: Record<string, string>): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      await copyOnce(from, to);
      break;
    } catch (error) {
      await rm(to, { recursive: true, force: true });
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (!existsSync(from)) return false;
      if (tries === TRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
  const checked = await runGit([`--git-dir=${to}`, 'fsck', '--connectivity-only', '--no-dangling', '--no-progress'], {
    env,
    timeoutMs: CHECK_MS,
  });
  if (checked.ok) return true;
  const evidence = checked.stderr.trim().split('\n').slice(0, 10);
  throw new OrkestrError('ORK_BACKUP_INCOMPLETE', `The repository ${basename(from)} is damaged.`, { evidence });
}

/** Names of commits before the objects they lead to: what is pushed in between is more than is named, never less. */
async function copyOnce(from: string, to: string): Promise<void> {
  await mkdir(to);
  const entries = (await readdir(from)).filter((name) => !COPIED_APART.includes(name) && !name.endsWith('.lock'));
  for (const name of entries) {
    await cp(join(from, name), join(to, name), { recursive: true, filter: (path) => !path.endsWith('.lock') });
  }
  // After refs: git packs a branch before it takes its file away, so one that is not there any more is here.
  await copyFile(join(from, PACKED_REFS), join(to, PACKED_REFS)).catch(ifMissing(undefined));
  const objects = join(from, 'objects');
  for (const entry of await readdir(objects, { recursive: true, withFileTypes: true })) {
    const target = join(to, 'objects', join(entry.parentPath, entry.name).slice(objects.length + 1));
    if (entry.isDirectory()) await mkdir(target, { recursive: true });
    // Objects that a push is still writing are nobody's yet.
    else if (!entry.name.startsWith('tmp_') && !entry.parentPath.includes('incoming-')) {
      await mkdir(dirname(target), { recursive: true });
      await link(join(entry.parentPath, entry.name), target);
    }
  }
}

const ifMissing =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code !== 'ENOENT') throw error;
    return value;
  };
