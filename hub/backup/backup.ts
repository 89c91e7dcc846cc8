/** `orkestr-hub backup` and `orkestr-hub restore`: a whole hub in one file, and back. */
import { createReadStream, createWriteStream } from 'node:fs';
import { chown, link, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import manifest from '../../package.json' with { type: 'json' };
import { OrkestrError } from '../../protocol/errors.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import { lockState, prepareState } from '../state.ts';
import { openDatabase } from '../store/database.ts';
import { readArchive, writeArchive, type Manifest } from './archive.ts';
import { inRoomOf, leavingRoom, mustLeaveRoom, unchanged, writeOut } from '../disk.ts';
import { snapshotSize, takeSnapshot } from './snapshot.ts';

/** As a file name: standard output, or standard input. */
const STANDARD_STREAM = '-';

/** Our temporary folders in the state folder. They are removed at the end, or by the next run after a kill. */
const WORK_PREFIX = '.backup-';
/** Held during a backup or restore: a second one would mistake the work folder of the first for a leftover. */
const WORK_LOCK = '.backup.lock';

/** Name of a backup in a folder: its time, so that names sort chronologically. */
const nameFor = (now: Date): string => `hub-${now.toISOString().replaceAll(/[-:]|\.\d+/g, '')}.tar.gz`;
/** Suffix while it is being written. */
const PART = '.part';
const NAME = /^hub-\d{8}T\d{6}Z\.tar\.gz$/;

interface BackupResult {
  readonly file: string;
  readonly repositories: number;
}

/**
 * Writes a backup, also while the hub runs. It contains the hub's keys, so only its owner may read the file.
 * @param target a file, a folder in which it gets a name, or "-" for standard output
 * @throws OrkestrError ORK_CONFLICT when the file exists, ORK_NOT_FOUND, ORK_BACKUP_INCOMPLETE, ORK_DISK_FULL also
 *   when the hub would have too little room left
 */
export async function makeBackup(stateFolder: string, target: string, now: Date): Promise<BackupResult> {
  const state = prepareState(stateFolder);
  const isNamedHere = await isFolder(target);
  const file = isNamedHere ? join(target, nameFor(now)) : target;
  return withWorkFolder(stateFolder, async (work) => {
    // Check the free space only after leftovers of killed runs are removed, here and in the work folder.
    if (isNamedHere) await sweepParts(target);
    await mustLeaveRoom(stateFolder, await snapshotSize(state));
    const take = () => takeSnapshot(stateFolder, state, work);
    const { repositories } = await inRoomOf(stateFolder, 'the copy of the hub', take);
    const about = { version: manifest.version, at: now.toISOString() };
    if (file === STANDARD_STREAM)
      await toStandardOutput(() => writeArchive(work, { through: unchanged, out: process.stdout }, about));
    else {
      const folder = dirname(file);
      const through = await leavingRoom(folder, stateFolder);
      const write = (out: Writable): Promise<void> => writeArchive(work, { through, out }, about);
      await inRoomOf(folder, 'the backup', () => writeFile(file, write));
      await writeOut(folder);
    }
    return { file, repositories };
  });
}

/**
 * Deletes the oldest backups in the folder of a new one: those with generated names, except `keep`. Names later than
 * the newest one were written with a clock that was ahead: their age is unknown, so they are deleted first.
 * @returns number of deleted backups
 */
export async function forgetOldest(newest: string, keep: number): Promise<number> {
  const folder = dirname(newest);
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).toSorted();
  const isAhead = (name: string): boolean => name > basename(newest);
  const byAge = [...names.filter(isAhead), ...names.filter((name) => !isAhead(name))];
  const old = byAge.slice(0, Math.max(0, names.length - keep));
  for (const name of old) await rm(join(folder, name));
  return old.length;
}

/** Removes partial files of a killed backup. */
async function sweepParts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith(PART) && NAME.test(name.slice(0, -PART.length))) await rm(join(folder, name), { force: true });
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false, // writing to it will report the error
  );

interface RestoreResult {
  readonly from: Manifest;
  /** Folder with the previous state; null when there was none. */
  readonly previous: string | null;
}

/**
 * Replaces a stopped hub by a backup. The previous state is moved to a subfolder of the state folder.
 * @param file source; "-" for standard input
 * @throws OrkestrError ORK_ALREADY_RUNNING, ORK_BACKUP_UNREADABLE, ORK_CONFLICT when there is a hub and not `replace`,
 *   ORK_CONFIG when the backup is of a newer version, ORK_DISK_FULL; the previous state is unchanged then
 */
export async function restoreBackup(
  stateFolder: string,
  file: string,
  how: { readonly replace: boolean; readonly now: Date },
): Promise<RestoreResult> {
  const state = prepareState(stateFolder);
  const release = await lockState(state.lock);
  try {
    await giveToOwnerOf(stateFolder, [state.lock]);
    return await withWorkFolder(stateFolder, async (work) => {
      const from = await inRoomOf(stateFolder, 'what is in the backup', async () => {
        const manifest = await readArchive(file === STANDARD_STREAM ? process.stdin : await openToRead(file), work);
        // Migrate the database here: if that fails, nothing is lost yet.
        await (await openDatabase(join(work, basename(state.database)))).destroy();
        return manifest;
      });
      const restored = await readdir(work, { recursive: true });
      await giveToOwnerOf(
        stateFolder,
        restored.map((name) => join(work, name)),
      );
      await writeOut(work);
      const previous = await setAside(stateFolder, basename(state.lock), how);
      for (const name of await readdir(work)) await rename(join(work, name), join(stateFolder, name));
      await writeOut(stateFolder);
      return { from, previous };
    });
  } finally {
    release();
  }
}

/** @throws OrkestrError ORK_ALREADY_RUNNING */
async function withWorkFolder<T>(stateFolder: string, work: (folder: string) => Promise<T>): Promise<T> {
  const path = join(stateFolder, WORK_LOCK);
  const release = await lockState(path).catch((cause: unknown) => {
    if (!(cause instanceof OrkestrError)) throw cause;
    throw new OrkestrError('ORK_ALREADY_RUNNING', 'Another backup or restore is running here.', { cause });
  });
  try {
    await giveToOwnerOf(stateFolder, [path]);
    return await inWorkFolder(stateFolder, work);
  } finally {
    release();
  }
}

async function inWorkFolder<T>(stateFolder: string, work: (folder: string) => Promise<T>): Promise<T> {
  for (const name of await readdir(stateFolder)) {
    if (name.startsWith(WORK_PREFIX)) await rm(join(stateFolder, name), { recursive: true });
  }
  const make = () => mkdtemp(join(stateFolder, WORK_PREFIX));
  const folder = await inRoomOf(stateFolder, 'a folder to work in', make);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function toStandardOutput(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    if (!isDiskFull(cause)) throw cause;
    throw new OrkestrError('ORK_DISK_FULL', 'There is no room for the backup where standard output is written to.', {
      cause,
    });
  }
}

/** Writes under a temporary name: a file with a backup's name is always complete, even after a kill. */
async function writeFile(file: string, write: (out: Writable) => Promise<void>): Promise<void> {
  const part = `${file}${PART}`;
  try {
    await write(createWriteStream(part, { mode: 0o600, flush: true }));
    await link(part, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new OrkestrError('ORK_CONFLICT', `${file} already exists; backups are never overwritten.`);
  } finally {
    await rm(part, { force: true });
  }
}

async function openToRead(file: string): Promise<ReturnType<typeof createReadStream>> {
  await stat(file).catch((cause: unknown) => {
    throw new OrkestrError('ORK_NOT_FOUND', `There is no file ${file}.`, { cause });
  });
  return createReadStream(file);
}

/** Gives files that root creates here to the user that the hub runs as. */
async function giveToOwnerOf(stateFolder: string, paths: readonly string[]): Promise<void> {
  const { uid, gid } = await stat(stateFolder);
  if (uid === process.getuid?.()) return;
  for (const path of paths) await chown(path, uid, gid);
}

async function setAside(
  stateFolder: string,
  lock: string,
  { replace, now }: { readonly replace: boolean; readonly now: Date },
): Promise<string | null> {
  const old = (await readdir(stateFolder)).filter((name) => !name.startsWith(lock) && !name.startsWith('.'));
  const there = old.filter((name) => !name.startsWith('before-'));
  if (there.length === 0) return null;
  if (!replace) {
    throw new OrkestrError('ORK_CONFLICT', `${stateFolder} already has a hub. To move it aside, add --replace.`);
  }
  const previous = join(stateFolder, `before-${now.toISOString().replaceAll(':', '')}`);
  await mkdir(previous, { mode: 0o700 });
  for (const name of there) await rename(join(stateFolder, name), join(previous, name));
  return previous;
}
