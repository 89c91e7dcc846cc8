/** The copy of a database that is kept from before a migration: an older version reads it, once an upgrade is taken back. */
import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';

/** Beside the database, after its name. */
export const COPY_SUFFIX = '.before';

/**
 * Whole or not there, also after a power cut.
 * @param copyTo writes the copy, for example by `VACUUM INTO` (sqlite.org/lang_vacuum.html), to a path where nothing is
 */
export function keepCopy(path: string, copyTo: (path: string) => void): void {
  const making = `${path}${COPY_SUFFIX}.new`;
  rmSync(making, { force: true });
  copyTo(making);
  chmodSync(making, 0o600);
  const file = openSync(making, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(making, `${path}${COPY_SUFFIX}`);
}
