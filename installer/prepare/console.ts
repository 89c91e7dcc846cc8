/** Builds the web console with vite if its sources have changed since the last build. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../stack/run-program.ts';
import { hashOf } from './sources.ts';

const FOLDER = 'hub/console';
/** Its own folder, and what it imports from elsewhere. */
const SOURCES = [FOLDER, 'protocol', 'hub/api/schemas.ts', 'hub/cli/text', 'package-lock.json'];
/** In dist/, so that both are removed together; vite empties the folder first. */
const STAMP = join(FOLDER, 'dist', '.sources');

/** @returns what was done, for people */
export async function buildConsole(root: string, say: (detail: string) => void): Promise<string> {
  const hash = hashOf(root, SOURCES);
  const stamp = join(root, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return 'as built before';
  say('vite build');
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  await mustRun('vite build', [process.execPath, vite, 'build', join(root, FOLDER), '--logLevel', 'warn']);
  writeFileSync(stamp, hash);
  return 'built';
}
