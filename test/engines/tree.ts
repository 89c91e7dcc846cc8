/** A tree of a newer Debian with its Docker Engine and the tests' other tools. Made once per machine. */
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findMirror } from '../../agent/base-images/mirror.ts';
import { bootstrap } from '../../agent/base-images/tree.ts';

/** Debian 13 has Docker 26; unstable has Debian's newest. */
export const SUITES = ['trixie', 'sid'] as const;
export type Suite = (typeof SUITES)[number];

const PACKAGES = [
  'docker.io',
  'docker-cli',
  'iptables',
  'iproute2',
  'procps',
  'git',
  'ca-certificates',
  'e2fsprogs',
  'kmod',
  'openssl',
  'python3',
  'util-linux',
];

const REGISTRY = '/usr/bin/docker-registry';

export async function engineTree(suite: Suite, folder: string, say: (text: string) => void): Promise<string> {
  const tree = join(folder, suite);
  if (existsSync(tree)) return tree;
  say(`making a tree of ${suite} with Docker Engine; once per machine`);
  const making = `${tree}.${process.pid}`;
  try {
    await bootstrap(making, await findMirror(suite), PACKAGES, suite);
    // The machine's own binary: the package would start a service where it is installed.
    copyFileSync(REGISTRY, join(making, REGISTRY));
    renameSync(making, tree);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return tree;
}
