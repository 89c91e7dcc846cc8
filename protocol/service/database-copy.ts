/** A copy of a database from before a migration, for an older version to read if the upgrade is taken back. */
import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';

/** Appended to the database's path for a complete copy. */
export const COPY_SUFFIX = '.before';
/** Appended to it while the copy is being written. */
export const HALF_COPY_SUFFIX = '.before.new';

/** Longest time between two writes of a copy in progress, ms; the final flush may take long on a slow disk. */
const STILL_MS = 60_000;

/**
 * The copy is complete or absent, even after a power cut.
 * @param copyTo writes the copy to a path that does not exist, for example with `VACUUM INTO`
 *   (sqlite.org/lang_vacuum.html)
 */
export function keepCopy(path: string, copyTo: (path: string) => void): void {
  const making = `${path}${HALF_COPY_SUFFIX}`;
  rmSync(making, { force: true });
  try {
    copyTo(making);
  } catch (error) {
    // A partial copy would keep the disk as full as it has made it.
    rmSync(making, { force: true });
    throw error;
  }
  chmodSync(making, 0o600);
  const file = openSync(making, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(making, `${path}${COPY_SUFFIX}`);
}

/** Whether a copy of the database is in progress at `now` (ms since the epoch): many GB take minutes. */
export function isBeingCopied(path: string, now: number): boolean {
  const making = statSync(`${path}${HALF_COPY_SUFFIX}`, { throwIfNoEntry: false });
  return making !== undefined && now - making.mtimeMs < STILL_MS;
}
