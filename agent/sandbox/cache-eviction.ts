/** Room on the disk of a slot before a build: what was used longest ago goes out of the cache first. */
import type { BuildLimits } from '../../protocol/job.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { humanSize } from '../../protocol/size.ts';
import { pruneCache, pruneImages } from './build-cache.ts';
import type { DiskUse, SlotDisk } from './disk.ts';

const MIB = 1_048_576;
/** A build may count on this share of the disk; the cache has the rest. */
const SHARE = 0.5;
/** Inodes that should be free: a large node_modules has 100 000 files. */
const SPARE_INODES = 0.25;

/** Prunes build cache, and when that is not enough the images too, until a build of `limits` has room. */
export async function evictForBuild(
  engine: Engine,
  disk: SlotDisk,
  { limits, log }: { readonly limits: BuildLimits; readonly log: StepLog },
): Promise<void> {
  const missing = (use: DiskUse): number => missingBytes(use, limits.diskMiB * MIB);
  const before = await disk.use();
  if (missing(before) === 0) return;
  await pruneCache(engine, Math.max(0, before.usedBytes - missing(before)));
  if (missing(await disk.use()) > 0) {
    await pruneCache(engine, 0);
    await pruneImages(engine);
  }
  const { usedBytes, freeBytes } = await disk.use();
  await disk.giveBack();
  log.line(`Build cache pruned: ${humanSize(before.usedBytes - usedBytes)} freed, ${humanSize(freeBytes)} free now`);
}

/** Bytes that should go so that `wantedBytes`, but no more than its share of the disk, are free. */
export function missingBytes(use: DiskUse, wantedBytes: number): number {
  const size = use.usedBytes + use.freeBytes;
  const fewInodes = use.freeInodes < SPARE_INODES * (use.usedInodes + use.freeInodes);
  // Inodes are not pruned by number: half of what is used has half of them, about.
  return Math.max(0, Math.min(wantedBytes, size * SHARE) - use.freeBytes, fewInodes ? use.usedBytes / 2 : 0);
}
