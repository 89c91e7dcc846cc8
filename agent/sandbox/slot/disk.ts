/**
 * A slot's disk: a file system of limited size in a sparse file on the host, so that a build can fill its own disk but
 * never the host's. It holds only a cache: a damaged disk is created anew.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import { type Exec, run } from '../../lib/exec.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';
import { diskSize } from './disk-size.ts';

const TIMEOUT_MS = 120_000;
const BLOCK_BYTES = 512;
/** mkfs.ext4(8). An inode per 8 KiB, since builds have packages with very many small files. */
const FORMAT = ['-q', '-F', '-b', '4096', '-m', '0', '-i', '8192', '-J', 'size=16', '-e', 'remount-ro'] as const;
/** Writes tables on first use (never in the background: noinit_itable); else 20 GiB would write 640 MiB at once. */
const LAZY = ['-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard'] as const;
/** mount(8). */
const MOUNT = ['-t', 'ext4', '-o', 'loop,nosuid,nodev,noatime,noinit_itable'] as const;
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
export const makeSlotDisk = (options: DiskOptions): SlotDisk =>
  options.sizeMiB === 0 ? new UnlimitedDisk(options) : new LimitedDisk(options);

/** A plain folder of the host. */
class UnlimitedDisk implements SlotDisk {
  readonly folder: string;
  readonly #stateDirectory: string;

  constructor({ stateDirectory }: DiskOptions) {
    this.#stateDirectory = stateDirectory;
    this.folder = folderIn(stateDirectory);
  }

  async ensure(): Promise<void> {
    await makeMountPoint(this.folder);
  }

  use(): Promise<DiskUse> {
    return useOf(this.folder, this.#stateDirectory);
  }

  async giveBack(): Promise<void> {}

  async release(): Promise<void> {}
}

class LimitedDisk implements SlotDisk {
  readonly folder: string;
  readonly #image: string;
  readonly #options: DiskOptions;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.folder = folderIn(options.stateDirectory);
    this.#image = join(options.stateDirectory, 'disk.img');
  }

  async ensure(say: (text: string) => void): Promise<void> {
    if ((await isMounted(this.folder)) && (await isWritable(this.folder))) return;
    await this.release();
    await this.#make(say).catch((cause: unknown) => {
      if (cause instanceof OrkestrError) throw cause;
      const evidence = [cause instanceof Error ? cause.message : String(cause)];
      throw new OrkestrError('ORK_SANDBOX', 'The build disk could not be created.', { evidence, cause });
    });
  }

  use(): Promise<DiskUse> {
    return useOf(this.folder, this.#options.stateDirectory);
  }

  /** The host can reuse the blocks of deleted files once their deletion is on disk. */
  async giveBack(): Promise<void> {
    await this.#run('sync', '--file-system', '--', this.folder);
    await this.#run('fstrim', this.folder);
  }

  async release(): Promise<void> {
    if (!(await isMounted(this.folder))) return;
    const { exitCode } = await this.#try('umount', '--', this.folder);
    // A process still has a file open there: unmount as soon as it closes it.
    if (exitCode !== 0) await this.#run('umount', '--lazy', '--', this.folder);
  }

  async #make(say: (text: string) => void): Promise<void> {
    await makeMountPoint(this.folder);
    const present = await sizeOf(this.#image);
    const bytes = await this.#wantedSize(present);
    const sound = present.bytes > 0 && (await this.#isSound());
    if (!sound || bytes < present.bytes) {
      if (present.bytes > 0) say(`The build disk is made anew: ${sound ? 'it is to be smaller' : 'it was damaged'}.`);
      say(`Build disk of ${humanSize(bytes)}`);
      await this.#format(bytes);
    } else if (bytes > present.bytes) {
      say(`The build disk grows to ${humanSize(bytes)}`);
      await this.#grow(bytes);
    }
    await this.#mount();
  }

  async #wantedSize(present: FileSize): Promise<number> {
    return diskSize({
      wantedMiB: this.#options.sizeMiB,
      presentBytes: present.bytes,
      hostBytes: (await freeBytes(this.#options.stateDirectory)) + present.allocated,
      slots: this.#options.slots,
    });
  }

  async #isSound(): Promise<boolean> {
    const { exitCode } = await this.#try('e2fsck', '-p', this.#image);
    return exitCode !== null && exitCode < FSCK_FAILED;
  }

  async #format(bytes: number): Promise<void> {
    await rm(this.#image, { force: true });
    await writeFile(this.#image, '', { flag: 'wx', mode: 0o600 });
    await truncate(this.#image, bytes);
    await this.#run('mkfs.ext4', ...FORMAT, ...LAZY, '--', this.#image);
  }

  /** Unmounted, since some kernels refuse to grow a mounted one. resize2fs(8) extends the sparse file itself. */
  async #grow(bytes: number): Promise<void> {
    await this.#try('e2fsck', '-f', '-p', this.#image); // resize2fs requires it, though just checked
    await this.#run('resize2fs', this.#image, `${bytes / MIB}M`);
  }

  /** mount(8) picks a free loop device, and the kernel frees it on unmount. */
  async #mount(): Promise<void> {
    const { exitCode, stderr } = await this.#try('mount', ...MOUNT, '--', this.#image, this.folder);
    if (exitCode === 0) return;
    const text =
      'The build disk could not be mounted: the host must have loop devices (not every container has). ORKESTR_BUILD_DISK_MIB=0 builds without a limit of disk.';
    throw new OrkestrError('ORK_SANDBOX', text, { evidence: [stderr.trim()] });
  }

  /** Runs a program that has to succeed. */
  async #run(program: string, ...args: string[]): Promise<void> {
    await run(program, args, { timeoutMs: TIMEOUT_MS }, this.#options.exec);
  }

  /** Runs a program whose exit code is for the caller to judge. */
  #try(program: string, ...args: string[]): ReturnType<Exec> {
    return this.#options.exec(program, args, { timeoutMs: TIMEOUT_MS });
  }
}

const folderIn = (stateDirectory: string): string => join(stateDirectory, 'disk');

async function makeMountPoint(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
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

interface FileSize {
  readonly bytes: number;
  /** Bytes that a sparse file occupies. */
  readonly allocated: number;
}

async function sizeOf(file: string): Promise<FileSize> {
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
