/** The files of a Debian for arm64, enough to run programs in. Made once per machine. */
import { copyFileSync, existsSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findMirror } from '../../agent/base-images/mirror.ts';
import { CA_BUNDLE, DEBIAN_RELEASE } from '../../agent/base-images/recipe.ts';
import { mustRun } from '../../installer/stack/run-program.ts';

/** What a release uses on a host, and what its install.sh needs to examine it. */
const PACKAGES = ['ca-certificates', 'curl', 'git', 'iproute2', 'openssl', 'procps', 'systemd', 'xz-utils'];
const ARCHIVES = 'var/cache/apt/archives';
const MAKING_MS = 15 * 60_000;

/** @param folder for trees; owned by root */
export async function arm64Tree(folder: string, say: (text: string) => void): Promise<string> {
  const tree = join(folder, DEBIAN_RELEASE);
  if (existsSync(tree)) return tree;
  say(`making a tree of ${DEBIAN_RELEASE} for arm64; once per machine`);
  const making = `${tree}.${process.pid}`;
  try {
    await unpack(making);
    renameSync(making, tree);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return tree;
}

/** Does not run the packages' scripts: they would take minutes in emulation, and set up services nobody starts here. */
async function unpack(tree: string): Promise<void> {
  const { main } = await findMirror(DEBIAN_RELEASE);
  const wanted = ['--arch=arm64', '--foreign', '--variant=minbase', `--include=${PACKAGES.join(',')}`] as const;
  await mustRun('debootstrap', ['debootstrap', ...wanted, DEBIAN_RELEASE, tree, main], { timeoutMs: MAKING_MS });
  for (const name of readdirSync(join(tree, ARCHIVES)).filter((file) => file.endsWith('.deb'))) {
    await mustRun(`unpacking ${name}`, ['dpkg-deb', '--extract', join(tree, ARCHIVES, name), tree]);
  }
  rmSync(join(tree, ARCHIVES), { recursive: true });
  // The parts of the scripts' work that are needed.
  for (const name of ['passwd', 'group']) {
    copyFileSync(join(tree, `usr/share/base-passwd/${name}.master`), join(tree, 'etc', name));
  }
  symlinkSync('mawk', join(tree, 'usr/bin/awk'));
  copyFileSync(CA_BUNDLE, join(tree, CA_BUNDLE));
}
