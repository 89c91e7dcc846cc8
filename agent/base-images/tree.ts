/** The file tree of a future image: from debootstrap or an exported image, filled by apt in a chroot, slimmed. */
import { chmod, copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run } from '../lib/exec.ts';
import { type Mirror, sourcesList } from './mirror.ts';
import { CA_BUNDLE, type BaseRecipe } from './recipe.ts';

/** apt and dpkg may take long on a small machine with a slow connection. */
const PACKAGES_TIMEOUT_MS = 20 * 60_000;
const FILES_TIMEOUT_MS = 5 * 60_000;

const CHROOT_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  LC_ALL: 'C',
  HOME: '/root',
} as const;

/** Caches, logs and lists, which an image does not need and which differ between builds. */
const CLEAN = [
  'var/lib/apt/lists',
  'var/cache/apt',
  'var/cache/debconf/templates.dat-old',
  'var/cache/debconf/config.dat-old',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/available-old',
  'var/cache/ldconfig/aux-cache',
  'var/log/apt',
  'var/log/dpkg.log',
  'var/log/bootstrap.log',
  'var/log/alternatives.log',
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'etc/resolv.conf',
  'etc/hosts',
  'etc/machine-id',
  'usr/bin/qemu-debootstrap',
];

/** Namespaces with their own /proc: however this process ends, no program or mount is left behind (unshare(1)). */
const apart = (proc: string): string[] => ['--pid', '--fork', '--kill-child', `--mount-proc=${proc}`];

export async function bootstrap(
  tree: string,
  mirror: Mirror,
  packages: readonly string[],
  release: string,
): Promise<void> {
  const argv = ['--variant=minbase', `--include=${packages.join(',')}`, release, tree, mirror.main];
  // debootstrap also mounts /proc in the tree.
  await run('unshare', [...apart('/proc'), '--', 'debootstrap', ...argv], { timeoutMs: PACKAGES_TIMEOUT_MS });
}

/** Unpacks a tar stream into `tree`. */
export async function unpackTree(tree: string, tar: Readable): Promise<void> {
  await mkdir(tree, { recursive: true });
  const child = spawn('tar', ['--extract', '--numeric-owner', '--preserve-permissions', '--file=-', '-C', tree], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  await pipeline(tar, child.stdin);
  const exitCode = await ended;
  if (exitCode !== 0) throw new Error(`tar could not unpack the tree: exit code ${exitCode}`);
}

/** The tree as a tar stream, sorted and with numeric owners. `done` rejects if tar fails. */
export function packTree(tree: string): { tar: Readable; done: Promise<void> } {
  const child = spawn(
    'tar',
    ['--create', '--sort=name', '--numeric-owner', '--one-file-system', '--file=-', '-C', tree, '.'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const done = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`tar could not pack the tree: exit code ${code}`)),
    );
  });
  return { tar: child.stdout, done };
}

/** @param suite preferred over the mirror's other suites; absent: the release itself */
export async function installPackages(
  tree: string,
  mirror: Mirror,
  packages: readonly string[],
  suite?: string,
): Promise<void> {
  if (packages.length === 0) return;
  await writeInto(tree, '/etc/apt/sources.list', sourcesList(mirror));
  for (const name of ['/etc/resolv.conf', '/etc/hosts']) await copyFile(name, join(tree, name));
  const apt = (args: readonly string[]): Promise<unknown> =>
    // Java's packages need /proc.
    run('unshare', [...apart(join(tree, 'proc')), '--', 'chroot', tree, 'apt-get', '-q', '-y', ...args], {
      timeoutMs: PACKAGES_TIMEOUT_MS,
      env: CHROOT_ENV,
    });
  await apt(['update']);
  const target = suite === undefined ? [] : [`--target-release=${suite}`];
  await apt(['install', '--no-install-recommends', ...target, '--', ...packages]);
}

/** Applies the parts of a recipe other than packages. */
export async function applyRecipe(tree: string, recipe: BaseRecipe): Promise<void> {
  for (const path of recipe.remove ?? []) await rm(join(tree, path), { recursive: true, force: true });
  for (const path of recipe.openFolders ?? []) {
    await mkdir(join(tree, path), { recursive: true });
    await chmod(join(tree, path), 0o1777);
  }
  for (const [path, text] of Object.entries(recipe.files ?? {})) await writeInto(tree, path, text);
  for (const [path, target] of Object.entries(recipe.links ?? {})) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await rm(join(tree, path), { force: true });
    await symlink(target, join(tree, path));
  }
}

/** Copies the machine's CA bundle, and its local additions so that update-ca-certificates keeps them. */
export async function copyTrust(tree: string): Promise<void> {
  await copyFile(CA_BUNDLE, join(tree, CA_BUNDLE));
  const own = '/usr/local/share/ca-certificates';
  await run('cp', ['--archive', '--', own, dirname(join(tree, own))], { timeoutMs: FILES_TIMEOUT_MS });
}

/** Removes what no container needs: caches, lists, documentation. */
export async function slim(tree: string): Promise<void> {
  for (const path of CLEAN) await rm(join(tree, path), { recursive: true, force: true });
  // Recreate folders that packages expect.
  for (const path of [
    'var/lib/apt/lists/partial',
    'var/cache/apt/archives/partial',
    'var/log/apt',
    'usr/share/man/man1',
  ]) {
    await mkdir(join(tree, path), { recursive: true });
  }
  await run('find', [join(tree, 'usr/share/doc'), '-type', 'f', '-not', '-name', 'copyright', '-delete'], {
    timeoutMs: FILES_TIMEOUT_MS,
  });
  await writeInto(tree, '/etc/resolv.conf', '');
  await writeInto(tree, '/etc/hosts', '127.0.0.1 localhost\n');
}

async function writeInto(tree: string, path: string, text: string): Promise<void> {
  const whole = join(tree, path);
  await mkdir(dirname(whole), { recursive: true });
  await rm(whole, { force: true });
  await writeFile(whole, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
}
