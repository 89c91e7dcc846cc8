/** The release made a second time, from a copy of the repository in another folder, in which nothing is cached. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../installer/release/node-binary.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { MANIFEST_FILE, ReleaseManifest } from '../../protocol/release.ts';
import { repositoryFiles } from '../house/sources.ts';
import type { Subject } from './subject.ts';

/** Bundles, and an addon that is compiled; a busy machine takes minutes. */
const MAKING_MS = 30 * 60_000;

export async function again({ plan }: Subject): Promise<string> {
  // In the file system of the packages, so that they can be linked.
  const copy = join(ROOT, '.orkestr/arm64/copy');
  rmSync(copy, { recursive: true, force: true });
  try {
    await copyRepository(copy);
    const out = join(copy, 'dist/release');
    const node = join(copy, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
    const options = ['--key', plan.keyFile, '--target', plan.target, '--preset', String(plan.preset)];
    const release = [node, join(copy, 'installer/release/main.ts'), '--out', out, ...options] as const;
    await mustRun('the second release', release, { cwd: copy, timeoutMs: MAKING_MS });
    const made = manifestIn(out);
    assert.deepEqual(made, manifestIn(plan.release));
    return `${made.files.length} files`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const manifestIn = (folder: string): ReleaseManifest =>
  ReleaseManifest.parse(JSON.parse(readFileSync(join(folder, MANIFEST_FILE), 'utf8')));

/** The repository's files, and its packages without what a release has compiled. */
async function copyRepository(copy: string): Promise<void> {
  for (const file of repositoryFiles()) cpSync(join(ROOT, file), join(copy, file));
  // Links instead of copies: nothing writes into packages.
  const linking = ['cp', '--recursive', '--link', '--no-dereference'] as const;
  await mustRun('cp', [...linking, join(ROOT, 'node_modules'), join(copy, 'node_modules')]);
  const cache = cacheFolder(copy);
  for (const name of readdirSync(cache)) if (name.endsWith('.node')) rmSync(join(cache, name));
}
