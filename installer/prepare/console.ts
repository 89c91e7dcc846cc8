/** Builds the web console with vite, when its sources are not those of the last build. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../stack/run-program.ts';

const FOLDER = 'hub/console';
/** What the console takes over from elsewhere, beside its own folder. */
const ALSO = ['protocol', 'hub/api/schemas.ts', 'hub/cli/text', 'package-lock.json'];
/** In dist/, so that it goes with what it describes; vite empties the folder first. */
const STAMP = join(FOLDER, 'dist', '.sources');

/** @returns what was done, for people */
export async function buildConsole(root: string, say: (detail: string) => void): Promise<string> {
  const hash = hashOf(root);
  const stamp = join(root, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return 'as built before';
  say('vite build');
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  await mustRun('vite build', [process.execPath, vite, 'build', join(root, FOLDER), '--logLevel', 'warn']);
  writeFileSync(stamp, hash);
  return 'built';
}

/** One hash over path and content of all sources. */
function hashOf(root: string): string {
  const hash = createHash('sha256');
  for (const file of [FOLDER, ...ALSO].flatMap((path) => filesOf(root, path)).toSorted()) {
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

/** Null: it is a file. */
function readEntries(path: string): string[] | null {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
    throw error;
  }
}
