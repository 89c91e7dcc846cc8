/** The pinned Node of a target: from node_modules, or fetched by npm and verified against the lock file. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ReleaseTarget } from '../../protocol/release.ts';
import { npmCommand } from '../prepare/dependencies.mjs';
import { mustRun } from '../stack/run-program.ts';
import type { Lock } from './lock.ts';

const FETCH_TIMEOUT_MS = 10 * 60_000;

/** Where a release caches what stays the same in the next one. */
export const cacheFolder = (root: string): string => join(root, 'node_modules/.cache/orkestr');

/**
 * Folder of the package `node-linux-…`, which contains bin/node and LICENSE.
 * @throws OrkestrError ORK_PREPARE_FAILED if npm does not provide it, or provides something other than the lock file
 * names
 */
export async function nodePackage(root: string, target: ReleaseTarget, lock: Lock): Promise<string> {
  const name = `node-${target}`;
  const installed = join(root, 'node_modules', name);
  if (existsSync(join(installed, 'bin', 'node'))) return installed;
  const { version, integrity } = lock.package(`node_modules/${name}`);
  const kept = join(cacheFolder(root), `${name}-${version}`);
  if (!existsSync(kept)) await fetchPackage(`${name}@${version}`, integrity, kept);
  return kept;
}

async function fetchPackage(spec: string, integrity: string, folder: string): Promise<void> {
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    const pack = ['pack', spec, '--ignore-scripts', '--json', '--pack-destination', making];
    const told = await mustRun('npm pack', [...npmCommand(process.env, process.execPath), ...pack], {
      cwd: making,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
    const [{ filename } = { filename: '' }] = JSON.parse(told) as { filename: string }[];
    const file = join(making, filename);
    const sum = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    if (sum !== integrity) {
      throw new OrkestrError(
        'ORK_PREPARE_FAILED',
        `${spec} has the hash ${sum}; package-lock.json names ${integrity}.`,
      );
    }
    // Every npm archive has its files below `package/`.
    await mustRun('tar', ['tar', '--extract', '--file', file, '-C', making, 'package/bin/node', 'package/LICENSE']);
    renameSync(join(making, 'package'), folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}
