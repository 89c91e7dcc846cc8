/** Makes room on a slot's disk before a build: the least recently used cache entries go first. */
import type { BuildLimits } from '../../../protocol/job.ts';
import type { StepLog } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import { humanSize, MIB } from '../../../protocol/size.ts';
import { pruneCache, pruneImages } from './build-cache.ts';
import type { DiskUse, SlotDisk } from './disk.ts';

/** A build may expect this share of the disk to be free; the rest is for the cache. */
const SHARE = 0.5;
/** Share of inodes that should be free: a large node_modules has 100 000 files. */
const SPARE_INODES = 0.25;

/** Prunes the build cache, then base images if that is not enough, until a build under `limits` has room. */
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

/** Bytes to prune so that `wantedBytes`, capped at the build's share of the disk, are free. */
export function missingBytes(use: DiskUse, wantedBytes: number): number {
  const size = use.usedBytes + use.freeBytes;
  const fewInodes = use.freeInodes < SPARE_INODES * (use.usedInodes + use.freeInodes);
  // Pruning is by bytes, not by inodes: half of the used bytes holds about half of the used inodes.
  return Math.max(0, Math.min(wantedBytes, size * SHARE) - use.freeBytes, fewInodes ? use.usedBytes / 2 : 0);
}
