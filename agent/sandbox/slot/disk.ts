/**
 * A slot's disk: a file system of limited size in a sparse file on the host, so that a build can fill its own disk but
 * never the host's. It holds only a cache: a damaged disk is created anew.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import { type Exec, run } from '../../lib/exec.ts';
import { humanSize } from '../../../protocol/size.ts';
import { diskSize } from './disk-size.ts';

const TIMEOUT_MS = 120_000;
const MIB = 1_048_576;
const BLOCK_BYTES = 512;
/** mkfs.ext4(8). An inode per 8 KiB, since builds have packages with very many small files. */
const FORMAT = ['-q', '-F', '-b', '4096', '-m', '0', '-i', '8192', '-J', 'size=16', '-e', 'remount-ro'] as const;
/** Writes tables on first use (never in the background: noinit_itable); else 20 GiB would write 640 MiB at once. */
const LAZY = ['-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard'] as const;
/** e2fsck(8): 1 and 2 mean that errors were corrected, 4 and above that some were not. */
const FSCK_FAILED = 4;

export interface DiskUse {
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly usedInodes: number;
  readonly freeInodes: number;
  /** Free space of the host's file system that holds the disk's file. */
  readonly hostFreeBytes: number;
}

export interface SlotDisk {
  /** Mount point. */
  readonly folder: string;
  /**
   * Creates, repairs, grows and mounts the disk as needed, and reports it to `say`.
   * @throws OrkestrError ORK_DISK_FULL (the host's), ORK_SANDBOX (no loop devices)
   */
  ensure(say: (text: string) => void): Promise<void>;
  use(): Promise<DiskUse>;
  /** Returns the space of deleted files to the host. */
  giveBack(): Promise<void>;
  /** Unmounts the disk, which also frees the loop device. */
  release(): Promise<void>;
}

interface DiskOptions {
  /** Folder of the image file and the mount point. */
  readonly stateDirectory: string;
  /** Null: as large as the host has room for. 0: no separate disk and no limit, for hosts without loop devices. */
  readonly sizeMiB: number | null;
  readonly slots: number;
  readonly exec: Exec;
}

/** The disk of one slot. Throws ORK_SANDBOX if a command on it fails, ORK_DISK_FULL if the host has no room. */
export function makeSlotDisk(options: DiskOptions): SlotDisk {
  const { exec: by } = options;
  const folder = join(options.stateDirectory, 'disk');
  const image = join(options.stateDirectory, 'disk.img');
  const program = (name: string, ...args: string[]): Promise<unknown> => run(name, args, { timeoutMs: TIMEOUT_MS }, by);

  const unmount = async (): Promise<void> => {
    if (!(await isMounted(folder))) return;
    const { exitCode } = await by('umount', ['--', folder], { timeoutMs: TIMEOUT_MS });
    // A process still has a file open there: unmount as soon as it closes it.
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

  /** mount(8) picks a free loop device, and the kernel frees it on unmount. */
  const mount = async (): Promise<void> => {
    const args = ['-t', 'ext4', '-o', 'loop,nosuid,nodev,noatime,noinit_itable', '--', image, folder];
    const { exitCode, stderr } = await by('mount', args, { timeoutMs: TIMEOUT_MS });
    if (exitCode === 0) return;
    const text =
      'The build disk could not be mounted: the host must have loop devices (not every container has). ORKESTR_BUILD_DISK_MIB=0 builds without a limit of disk.';
    throw new OrkestrError('ORK_SANDBOX', text, { evidence: [stderr.trim()] });
  };

  /** Unmounted, since some kernels refuse to grow a mounted one. resize2fs(8) extends the sparse file itself. */
  const grow = async (bytes: number): Promise<void> => {
    await by('e2fsck', ['-f', '-p', image], { timeoutMs: TIMEOUT_MS }); // resize2fs requires it, though just checked
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
    /** The host can reuse the blocks of deleted files once their deletion is on disk. */
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
    // Some file systems have no fixed number of inodes and report 0.
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

/** The kernel remounts a file system read-only once writes to its file fail, because the host's disk was full. */
async function isWritable(folder: string): Promise<boolean> {
  const probe = join(folder, '.writable');
  return writeFile(probe, '').then(
    () => rm(probe).then(() => true),
    (error: NodeJS.ErrnoException) => error.code === 'ENOSPC', // a full disk is not a broken one
  );
}

async function isMounted(folder: string): Promise<boolean> {
  const escaped = folder.replaceAll(' ', '\\040');
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  return mounts.some((line) => line.split(' ')[1] === escaped);
}
