/** Bundles the proxy with rolldown if its sources have changed since the last bundle (docs/adr/0014). */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun } from '../stack/run-program.ts';
import { PROXY_PROGRAM } from '../stack/proxy-program.ts';
import { hashOf } from './sources.ts';

const SOURCES = ['proxy', 'protocol', 'package.json', 'package-lock.json'];
const CONFIG = 'proxy/bundle.config.mjs';

/**
 * Each bundle has its own folder, named by a hash of its sources, and `current` links to the last one: a proxy that
 * runs an older bundle finds its files until it has handed over. Several processes may do this at once.
 *
 * @param root folder of the repository
 * @returns what was done, for people
 * @throws OrkestrError ORK_PREPARE_FAILED with rolldown's output
 */
export async function buildProxy(root: string, say: (detail: string) => void): Promise<string> {
  const current = join(root, dirname(PROXY_PROGRAM));
  const name = hashOf(root, SOURCES).slice(0, 16);
  const before = readLink(current);
  if (before === name) return 'as built before';
  say('rolldown');
  const folder = dirname(current);
  mkdirSync(folder, { recursive: true });
  const made = mkdtempSync(join(folder, '.making-'));
  try {
    const rolldown = join(root, 'node_modules', 'rolldown', 'bin', 'cli.mjs');
    const argv = [process.execPath, rolldown, '--config', CONFIG, '--dir', join(made, name)] as const;
    await mustRun('rolldown', [...argv], { cwd: root });
    symlinkSync(name, join(made, 'current'));
    // Another process may have been faster, and its bundle may already run.
    if (!existsSync(join(folder, name))) renameSync(join(made, name), join(folder, name));
    renameSync(join(made, 'current'), current);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  forget(folder, [name, before, 'current']);
  return 'built';
}

/** Null if there is none. */
function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Keeps the last two bundles: a proxy that runs an older one has had its time. Dot folders are being made by others.
 */
function forget(folder: string, kept: readonly (string | null)[]): void {
  for (const name of readdirSync(folder)) {
    if (!kept.includes(name) && !name.startsWith('.')) rmSync(join(folder, name), { recursive: true, force: true });
  }
}
