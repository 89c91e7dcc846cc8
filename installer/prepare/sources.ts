/** Detects whether a build was made from the current sources. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * One hash over path and content of all files at and below `paths`, without tests and build output.
 * @param root what `paths` are relative to
 */
export function hashOf(root: string, paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of paths.flatMap((path) => filesOf(root, path)).toSorted()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesOf(root: string, path: string): string[] {
  if (/\/(?:dist|node_modules)$/.test(path) || path.endsWith('.test.ts')) return [];
  const entries = readEntries(join(root, path));
  return entries === null ? [path] : entries.flatMap((name) => filesOf(root, join(path, name)));
}

/** Null if it is a file. */
function readEntries(path: string): string[] | null {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
    throw error;
  }
}
