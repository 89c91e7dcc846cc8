/** File operations that survive a power cut or keep a secret. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from './exec.ts';

/** A release on a slow disk that others write to as well. */
const SYNC_MS = 120_000;

/** Make a folder (and those above it) that only its owner may enter. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** @returns null when there is no such file */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Write a file so that after a crash it is the old one or the new one, never a part: temp file, fsync, rename, fsync of
 * the folder (rename(2) alone is not durable).
 */
export function writeFileAtomic(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode, flush: true });
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** What was made, renamed or removed in it is so after a power cut. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** All that was written to the file system of this folder is on its disk. @throws ExecError */
export async function syncFileSystem(folder: string): Promise<void> {
  // Node has no syncfs(2).
  await run('sync', ['--file-system', '--', folder], { timeoutMs: SYNC_MS });
}
