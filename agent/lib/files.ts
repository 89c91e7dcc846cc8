/** File operations that survive a power cut or protect a secret. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from './exec.ts';

/** Enough for a release on a slow, busy disk. */
const SYNC_MS = 120_000;

/** Creates a folder, and its parents, that only the owner may enter. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** @returns null if there is no such file */
export function readOptional(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Writes a file so that after a crash it is the old one or the new one, never a part: temp file, fsync, rename, fsync
 * of the folder (rename(2) alone is not durable).
 */
export function writeFileAtomic(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode, flush: true });
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Makes creations, renames and removals in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Flushes the file system of this folder to its disk. @throws ExecError */
export async function syncFileSystem(folder: string): Promise<void> {
  // Node.js has no syncfs(2).
  await run('sync', ['--file-system', '--', folder], { timeoutMs: SYNC_MS });
}
