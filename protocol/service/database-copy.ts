/** The copy of a database that is kept from before a migration: an older version reads it, once an upgrade is taken back. */
import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';

/** Beside the database, after its name. */
export const COPY_SUFFIX = '.before';
/** While it is written. */
export const HALF_COPY_SUFFIX = '.before.new';

/** Between two writes of a copy that is being made, ms: it is flushed at its end, which a slow disk takes its time for. */
const STILL_MS = 60_000;

/**
 * Whole or not there, also after a power cut.
 * @param copyTo writes the copy, for example by `VACUUM INTO` (sqlite.org/lang_vacuum.html), to a path where nothing is
 */
export function keepCopy(path: string, copyTo: (path: string) => void): void {
  const making = `${path}${HALF_COPY_SUFFIX}`;
  rmSync(making, { force: true });
  try {
    copyTo(making);
  } catch (error) {
    // Half a copy would keep the disk as full as it has made it.
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

/** Whether a copy of that database is being made at `now` (ms since the epoch): one of many GB takes minutes. */
export function isBeingCopied(path: string, now: number): boolean {
  const making = statSync(`${path}${HALF_COPY_SUFFIX}`, { throwIfNoEntry: false });
  return making !== undefined && now - making.mtimeMs < STILL_MS;
}
