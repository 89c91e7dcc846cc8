/** The disk of a lab host that is a virtual machine: Debian with systemd and its own kernel. Made once per suite. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMirror } from '../../../agent/base-images/mirror.ts';
import { bootstrap, copyTrust } from '../../../agent/base-images/tree.ts';
import { mustRun } from '../../../installer/stack/run-program.ts';
import { ROOT } from '../../../installer/stack/stack.ts';
import type { HostImage } from '../host.ts';
import { BARE, layBare } from '../server.ts';
import type { Suite } from '../server.ts';
import { VmHost } from './host.ts';

/**
 * Packages that a server needs and a container does not; providers, and the lab, run programs through the guest agent.
 */
const MACHINE = ['linux-image-amd64', 'initramfs-tools', 'udev', 'apparmor', 'qemu-guest-agent'];
/** The file is sparse: it takes only as much as it contains, about 1 GB. */
const DISK = '16G';
const DISK_TIMEOUT_MS = 5 * 60_000;
const BUILD_VERSION = 1;

/** Files from which a machine boots. */
export interface VmFiles {
  /** Raw ext4, never written to: each machine has its own layer on top of it. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * Makes the files if they are missing.
 * @param extra packages in addition to those of a bare server
 */
export async function vmImage(suite: Suite, extra: readonly string[], say: (text: string) => void): Promise<HostImage> {
  const files = await ensureFiles(suite, extra, say);
  return { boot: (plan) => VmHost.boot(files, plan) };
}

async function ensureFiles(suite: Suite, extra: readonly string[], say: (text: string) => void): Promise<VmFiles> {
  const packages = [...BARE, ...MACHINE, ...extra];
  const key = createHash('sha256')
    .update(JSON.stringify([BUILD_VERSION, suite, DISK, packages]))
    .digest('hex');
  const folder = join(ROOT, '.orkestr/lab', `${suite}-${key.slice(0, 12)}`);
  const files = { disk: join(folder, 'disk.raw'), kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') };
  if (existsSync(folder)) return files;
  say(`making the disk of a virtual machine (${suite}, ${packages.length} packages); once per machine`);
  const making = `${folder}.making`;
  const temporary = mkdtempSync(join(tmpdir(), 'ork-vm-image-'));
  try {
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { recursive: true });
    await makeDisk(join(temporary, 'tree'), making, suite, packages);
    renameSync(making, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(making, { recursive: true, force: true });
  }
  return files;
}

async function makeDisk(tree: string, folder: string, suite: Suite, packages: readonly string[]): Promise<void> {
  const mirror = await findMirror(suite);
  await bootstrap(tree, mirror, packages, suite);
  await copyTrust(tree);
  layBare(tree, mirror);
  writeFileSync(join(tree, 'etc/fstab'), '/dev/vda / ext4 defaults 0 1\n');
  const units = ['network-generator', 'networkd', 'networkd-wait-online'].map((name) => `systemd-${name}.service`);
  await mustRun('systemctl', ['chroot', tree, 'systemctl', 'enable', '--quiet', ...units]);
  await copyFile(join(tree, 'boot', onlyOne(tree, 'vmlinuz-')), join(folder, 'vmlinuz'));
  await copyFile(join(tree, 'boot', onlyOne(tree, 'initrd.img-')), join(folder, 'initrd'));
  // Without loop device and mount: mke2fs creates the file system with its files.
  const mke2fs = ['mke2fs', '-q', '-t', 'ext4', '-d', tree, join(folder, 'disk.raw'), DISK] as const;
  await mustRun('mke2fs', mke2fs, { timeoutMs: DISK_TIMEOUT_MS });
}

function onlyOne(tree: string, prefix: string): string {
  const [name, ...more] = readdirSync(join(tree, 'boot')).filter(
    (one) => one.startsWith(prefix) && one.endsWith('-amd64'),
  );
  if (name !== undefined && more.length === 0) return name;
  throw new Error(`There is not one ${prefix}* in the tree of a virtual machine`);
}
