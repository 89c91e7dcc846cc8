/**
 * A slot's disk: a file system of limited size in a sparse file of the host, so that a build can fill its own disk and
 * never the host's. It is a cache: one that is damaged is made anew.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { type Exec, run } from '../lib/exec.ts';
import { humanSize } from '../../protocol/size.ts';
import { diskSize } from './disk-size.ts';

const TIMEOUT_MS = 120_000;
const MIB = 1_048_576;
const BLOCK_BYTES = 512;
/** mkfs.ext4(8). Packages with very many small files are what builds have: an inode per 8 KiB. */
const FORMAT = ['-q', '-F', '-b', '4096', '-m', '0', '-i', '8192', '-J', 'size=16', '-e', 'remount-ro'] as const;
/** Tables are written when they are used (and never in the background: noinit_itable), or 20 GiB would take 640 MiB at once. */
const LAZY = ['-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard'] as const;
/** e2fsck(8): 1 and 2 tell that it mended something, 4 and more that it could not. */
const FSCK_FAILED = 4;

export interface DiskUse {
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly usedInodes: number;
  readonly freeInodes: number;
  /** On the host's file system, which the disk's file is on. */
  readonly hostFreeBytes: number;
}

export interface SlotDisk {
  /** Where it is mounted. */
  readonly folder: string;
  /**
   * Makes, mends, grows and mounts it, whatever is needed; `say` hears of it.
   * @throws OrkestrError ORK_DISK_FULL (the host's), ORK_SANDBOX (no loop devices)
   */
  ensure(say: (text: string) => void): Promise<void>;
  use(): Promise<DiskUse>;
  /** Gives the bytes of deleted files back to the host. */
  giveBack(): Promise<void>;
  /** Unmounts it; the loop device goes with that. */
  release(): Promise<void>;
}

interface DiskOptions {
  /** Folder of image file and mount point. */
  readonly stateDirectory: string;
  /** Null: as the host has room. 0: no disk of its own, for hosts without loop devices; nothing limits it then. */
  readonly sizeMiB: number | null;
  readonly slots: number;
  readonly exec: Exec;
}

/** The disk of one slot; what cannot be made, mounted or given back throws ORK_SANDBOX, a host without room ORK_DISK_FULL. */
export function makeSlotDisk(options: DiskOptions): SlotDisk {
  const { exec: by } = options;
  const folder = join(options.stateDirectory, 'disk');
  const image = join(options.stateDirectory, 'disk.img');
  const program = (name: string, ...args: string[]): Promise<unknown> => run(name, args, { timeoutMs: TIMEOUT_MS }, by);

  const unmount = async (): Promise<void> => {
    if (!(await isMounted(folder))) return;
    const { exitCode } = await by('umount', ['--', folder], { timeoutMs: TIMEOUT_MS });
    // Somebody still has a file open there: it goes when they do.
    if (exitCode !== 0) await program('umount', '--lazy', '--', folder);
  };

  const format = async (bytes: number): Promise<void> => {
    await rm(image, { force: true });
    await writeFile(image, '', { flag: 'wx', mode: 0o600 });
    await truncate(image, bytes);
    await program('mkfs.ext4', ...FORMAT, ...LAZY, '--', image);
  };

  const isSound = async (): Promise<boolean> => {
    const { exitCode } = await by('e2fsck', ['-p', image], { timeoutMs: TIMEOUT_MS });
    return exitCode !== null && exitCode < FSCK_FAILED;
  };

  /** mount(8) takes a free loop device and the kernel lets go of it with the mount. */
  const mount = async (): Promise<void> => {
    const args = ['-t', 'ext4', '-o', 'loop,nosuid,nodev,noatime,noinit_itable', '--', image, folder];
    const { exitCode, stderr } = await by('mount', args, { timeoutMs: TIMEOUT_MS });
    if (exitCode === 0) return;
    const text =
      'The build disk could not be mounted: the host must have loop devices (not every container has). ORKESTR_BUILD_DISK_MIB=0 builds without a limit of disk.';
    throw new OrkestrError('ORK_SANDBOX', text, { evidence: [stderr.trim()] });
  };

  /** Unmounted, since the kernel lets not every root grow a mounted one. resize2fs(8) extends the file, sparse, by itself. */
  const grow = async (bytes: number): Promise<void> => {
    await by('e2fsck', ['-f', '-p', image], { timeoutMs: TIMEOUT_MS }); // it has just been found sound: resize2fs asks for it
    await program('resize2fs', image, `${bytes / MIB}M`);
  };

  const make = async (say: (text: string) => void): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const present = await sizeOf(image);
    const bytes = diskSize({
      wantedMiB: options.sizeMiB,
      presentBytes: present.bytes,
      hostBytes: (await freeBytes(dirname(image))) + present.allocated,
      slots: options.slots,
    });
    const sound = present.bytes > 0 && (await isSound());
    if (!sound || bytes < present.bytes) {
      if (present.bytes > 0) say(`The build disk is made anew: ${sound ? 'it is to be smaller' : 'it was damaged'}.`);
      say(`Build disk of ${humanSize(bytes)}`);
      await format(bytes);
    } else if (bytes > present.bytes) {
      say(`The build disk grows to ${humanSize(bytes)}`);
      await grow(bytes);
    }
    await mount();
  };

  const limited = {
    async ensure(say: (text: string) => void): Promise<void> {
      if ((await isMounted(folder)) && (await isWritable(folder))) return;
      await unmount();
      await make(say).catch((cause: unknown) => {
        if (cause instanceof OrkestrError) throw cause;
        const evidence = [cause instanceof Error ? cause.message : String(cause)];
        throw new OrkestrError('ORK_SANDBOX', 'The build disk could not be created.', { evidence, cause });
      });
    },
    /** Blocks of deleted files are free for the host once their deletion is written. */
    async giveBack(): Promise<void> {
      await program('sync', '--file-system', '--', folder);
      await program('fstrim', folder);
    },
    release: unmount,
  };
  const unlimited = {
    ensure: async (): Promise<void> => void (await mkdir(folder, { recursive: true, mode: 0o700 })),
    giveBack: async (): Promise<void> => undefined,
    release: async (): Promise<void> => undefined,
  };
  return { folder, use: () => useOf(folder, options.stateDirectory), ...(options.sizeMiB === 0 ? unlimited : limited) };
}

async function useOf(folder: string, onHost: string): Promise<DiskUse> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(folder);
  return {
    usedBytes: (blocks - bfree) * bsize,
    freeBytes: bavail * bsize,
    usedInodes: files - ffree,
    // Some file systems have no fixed number of inodes and say 0.
    freeInodes: files === 0 ? Number.MAX_SAFE_INTEGER : ffree,
    hostFreeBytes: await freeBytes(onHost),
  };
}

async function sizeOf(file: string): Promise<{ readonly bytes: number; readonly allocated: number }> {
  if (!existsSync(file)) return { bytes: 0, allocated: 0 };
  const { size, blocks } = await stat(file);
  return { bytes: size, allocated: blocks * BLOCK_BYTES };
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The kernel makes a file system read-only when its file could not be written any more: the host's disk was full. */
async function isWritable(folder: string): Promise<boolean> {
  const probe = join(folder, '.writable');
  return writeFile(probe, '').then(
    () => rm(probe).then(() => true),
    (error: NodeJS.ErrnoException) => error.code === 'ENOSPC', // full is not broken
  );
}

async function isMounted(folder: string): Promise<boolean> {
  const escaped = folder.replaceAll(' ', '\\040');
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return mounts.some((line) => line.split(' ')[1] === escaped);
}
