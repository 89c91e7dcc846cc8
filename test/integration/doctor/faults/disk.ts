/** Faults of the disk with the state folder, and what the doctor must report. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import type { Fault, Undo } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'the disk of the state folder is full',
    inject: (host, undo) => ({ config: { stateFolder: onOwnDisk(host, undo, { fill: 'bytes' }) } }),
    finds: ['disk/full'],
    mend: /du -xh/,
  },
  {
    name: 'the disk of the state folder has no free inodes',
    inject: (host, undo) => ({ config: { stateFolder: onOwnDisk(host, undo, { fill: 'inodes' }) } }),
    finds: ['disk/inodes-full'],
    mend: /du -x --inodes/,
  },
  {
    name: 'the disk of the state folder is mounted read-only',
    inject(host, undo) {
      const stateFolder = onOwnDisk(host, undo, {});
      execFileSync('mount', ['-o', 'remount,ro', join(host.folder, 'disk')]);
      return { config: { stateFolder } };
    },
    finds: ['disk/read-only'],
    mend: /mount -o remount,rw \S+disk`/,
  },
];

/** Puts the state folder on its own file system: 128 inodes, 16 MiB. */
function onOwnDisk(host: Host, undo: Undo, { fill }: { readonly fill?: 'bytes' | 'inodes' }): string {
  const image = join(host.folder, 'disk.img');
  const mount = join(host.folder, 'disk');
  undo(() => rmSync(image));
  writeFileSync(image, '');
  truncateSync(image, 16 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-N', '128', image]);
  mkdirSync(mount);
  undo(() => rmSync(mount, { recursive: true }));
  execFileSync('mount', ['-o', 'loop', image, mount]);
  undo(() => execFileSync('umount', [mount]));
  const stateFolder = host.copyState(join(mount, 'agent'));
  const more = join(mount, 'more');
  mkdirSync(more);
  if (fill === 'bytes') untilFull(() => writeFileSync(join(more, 'data'), Buffer.alloc(65_536), { flag: 'a' }));
  if (fill === 'inodes') untilFull((index) => writeFileSync(join(more, String(index)), ''));
  return stateFolder;
}

function untilFull(write: (index: number) => void): void {
  try {
    for (let index = 0; index < 100_000; index += 1) write(index);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
    throw error;
  }
  throw new Error('it does not get full');
}
