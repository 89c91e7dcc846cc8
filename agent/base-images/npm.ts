/** npm packages for a tree, fetched with the machine's own npm from its configured registry. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { run } from '../lib/exec.ts';
import type { NpmPackage } from './recipe.ts';

const FETCH_TIMEOUT_MS = 5 * 60_000;

/** Installs `wanted` in the tree. @throws OrkestrError ORK_BASE_IMAGE */
export async function installNpmPackage(tree: string, work: string, wanted: NpmPackage): Promise<void> {
  const name = `${wanted.name}@${wanted.version}`;
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', work, '--', name], {
    timeoutMs: FETCH_TIMEOUT_MS,
    cwd: work,
  }).catch((cause: unknown) => {
    throw new OrkestrError('ORK_BASE_IMAGE', `npm could not fetch ${name} for the base image.`, {
      evidence: [String(cause)],
      cause,
    });
  });
  const tarball = join(work, `${wanted.name}-${wanted.version}.tgz`);
  const integrity = `sha512-${createHash('sha512')
    .update(await readFile(tarball))
    .digest('base64')}`;
  if (integrity !== wanted.integrity) {
    throw new OrkestrError('ORK_BASE_IMAGE', `The registry returned a ${name} that differs from the pinned one.`, {
      evidence: [`expected ${wanted.integrity}`, `got ${integrity}`],
    });
  }
  const target = join(tree, wanted.into ?? `usr/local/lib/node_modules/${wanted.name}`);
  await mkdir(target, { recursive: true });
  // A package tarball has everything below `package/`.
  const paths = (wanted.only ?? []).map((path) => `package/${path}`);
  await run(
    'tar',
    ['--extract', '--no-same-owner', '--strip-components=1', `--file=${tarball}`, '-C', target, ...paths],
    {
      timeoutMs: FETCH_TIMEOUT_MS,
    },
  );
}
