/** Takes a consistent copy of all irreplaceable state, also while the hub runs. */
import { existsSync } from 'node:fs';
import { copyFile, cp, link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Repositories } from '../git/repositories.ts';
import { runGit } from '../git/run.ts';
import type { StatePaths } from '../state.ts';

/** Attempts per repository: git may remove files meanwhile, because it repacks after some pushes. */
const TRIES = 5;
/** Pause before the next attempt, ms. */
const PAUSE_MS = 100;
const CHECK_MS = 10 * 60_000;
/** git's file of packed refs. */
const PACKED_REFS = 'packed-refs';
const COPIED_APART = ['objects', PACKED_REFS];

interface Snapshot {
  readonly repositories: number;
}

/**
 * Copies `state` to the empty folder `into` on the same file system. git never changes its object files, so they are
 * hard-linked and take no space.
 * @throws OrkestrError ORK_NOT_FOUND when there is no hub in `stateFolder`, ORK_BACKUP_INCOMPLETE when a repository is
 * damaged
 */
export async function takeSnapshot(stateFolder: string, state: StatePaths, into: string): Promise<Snapshot> {
  // The database first: commits are in git before a deployment refers to them.
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

/** Disk space that a snapshot needs, bytes: the database. Everything else is linked, or small. */
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
    // A copy from one moment. The backup API restarts at each write of another process (sqlite.org/backup.html).
    database.prepare('VACUUM INTO ?').run(to);
  } finally {
    database.close();
  }
}

/** False when the repository is gone: its project was deleted meanwhile. */
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

/** Refs before objects: a push in between adds surplus objects, but no ref lacks its objects. */
async function copyOnce(from: string, to: string): Promise<void> {
  await mkdir(to);
  const entries = (await readdir(from)).filter((name) => !COPIED_APART.includes(name) && !name.endsWith('.lock'));
  for (const name of entries) {
    await cp(join(from, name), join(to, name), { recursive: true, filter: (path) => !path.endsWith('.lock') });
  }
  // After the loose refs: git adds a ref to this file before it deletes the loose one, so none is missed.
  await copyFile(join(from, PACKED_REFS), join(to, PACKED_REFS)).catch(ifMissing(undefined));
  const objects = join(from, 'objects');
  for (const entry of await readdir(objects, { recursive: true, withFileTypes: true })) {
    const target = join(to, 'objects', join(entry.parentPath, entry.name).slice(objects.length + 1));
    if (entry.isDirectory()) await mkdir(target, { recursive: true });
    // Skip objects of a push in progress: no ref needs them yet.
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
