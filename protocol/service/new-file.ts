/** Creates a file, such as a key, that only its owner may read and that must never be incomplete. */
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes and flushes the file before it gets its name, so that no crash or full disk leaves a part of it, and it
 * survives a power cut. An existing file is never overwritten.
 */
export function makePrivateFile(path: string, text: string): void {
  const part = `${path}.${randomUUID()}`;
  try {
    writeFileSync(part, text, { mode: 0o600, flag: 'wx', flush: true });
    linkSync(part, path);
    flushFolder(dirname(path));
  } catch (error) {
    // Another process was faster; its file stays.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(part, { force: true });
  }
}

/** Makes the new name durable too. */
function flushFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
