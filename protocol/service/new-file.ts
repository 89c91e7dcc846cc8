/** A file that is made once, for its owner alone, and must never be half there: a key. */
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Written whole and flushed before it has its name: neither a crash nor a full disk leaves a part of it, and after a power cut
 * it is there. One that is there is never written over: it stays as it is.
 */
export function makePrivateFile(path: string, text: string): void {
  const part = `${path}.${randomUUID()}`;
  try {
    writeFileSync(part, text, { mode: 0o600, flag: 'wx', flush: true });
    linkSync(part, path);
    flushFolder(dirname(path));
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(part, { force: true });
  }
}

/** A new name is one after a power cut, too. */
function flushFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
