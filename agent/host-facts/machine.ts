/** Facts about the machine, as the kernel reports them. */
import { existsSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

interface Amount {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

type CgroupVersion = '1' | '2' | 'unknown';

/** cgroups(7): the unified hierarchy has cgroup.controllers at its root. */
export function cgroupVersion(root = '/sys/fs/cgroup'): CgroupVersion {
  if (existsSync(`${root}/cgroup.controllers`)) return '2';
  return existsSync(`${root}/memory`) || existsSync(`${root}/cpu`) ? '1' : 'unknown';
}

/** proc_meminfo(5). MemAvailable includes what caches would give back. */
export async function memory(path = '/proc/meminfo'): Promise<Amount> {
  const text = await readFile(path, 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { totalBytes: bytes('MemTotal'), availableBytes: bytes('MemAvailable') };
}

export interface DiskFacts extends Amount {
  readonly totalInodes: number;
  readonly availableInodes: number;
}

/**
 * Facts about the file system that `path` is on (or would be). The available space is that for users other than root.
 */
export async function disk(path: string): Promise<DiskFacts> {
  if (!existsSync(path) && dirname(path) !== path) return disk(dirname(path));
  const { blocks, bavail, bsize, files, ffree } = await statfs(path);
  return {
    totalBytes: blocks * bsize,
    availableBytes: bavail * bsize,
    totalInodes: files,
    availableInodes: ffree,
  };
}

export const share = ({ totalBytes, availableBytes }: Amount): number =>
  totalBytes === 0 ? 1 : availableBytes / totalBytes;

export const gibibytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
