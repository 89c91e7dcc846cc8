/** The size of a slot's disk. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';

const GIB = 1024 * MIB;
const DEFAULT_BYTES = 20 * GIB;
/** Enough for base images, a small build and its cache. */
const LEAST_BYTES = 256 * MIB;
/** The slots together take at most this share of the free space: the rest is for the apps. */
const SHARE = 0.8;

interface DiskNeeds {
  /** From the configuration; null: as large as the host has room for. */
  readonly wantedMiB: number | null;
  /** Of the existing image file; 0: none. */
  readonly presentBytes: number;
  /** Free space of the host's file system, including what the existing file occupies. */
  readonly hostBytes: number;
  readonly slots: number;
}

/**
 * Size of the disk in bytes. A disk of default size keeps its size, since free space changes all the time.
 * @throws OrkestrError ORK_DISK_FULL
 */
export function diskSize({ wantedMiB, presentBytes, hostBytes, slots }: DiskNeeds): number {
  if (wantedMiB === null && presentBytes > 0) return presentBytes;
  const wanted = wantedMiB === null ? DEFAULT_BYTES : wantedMiB * MIB;
  if (wanted === presentBytes) return wanted;
  const fits = Math.floor((hostBytes * SHARE) / slots / MIB) * MIB;
  if (fits < LEAST_BYTES) {
    const text = `The host has ${humanSize(hostBytes)} free; ${slots} build disks of at least ${humanSize(LEAST_BYTES)} do not fit.`;
    throw new OrkestrError('ORK_DISK_FULL', text);
  }
  return Math.min(wanted, fits);
}
