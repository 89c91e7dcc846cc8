/** Room on a slot's disk before a build: what was used longest ago goes first. */
import type { BuildLimits } from '../../protocol/job.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { humanSize } from '../lib/size.ts';
import type { DiskUse, SlotDisk } from './disk.ts';

const MIB = 1_048_576;
const PRUNE_TIMEOUT_MS = 5 * 60_000;
/** A build may count on this share of the disk; the cache has the rest. */
const SHARE = 0.5;
/** Inodes that should be free: a large node_modules has 100 000 files. */
const SPARE_INODES = 0.25;

/** Prunes build cache, and when that is not enough the images too, until a build of `limits` has room. */
export async function makeRoom(
  engine: Engine,
  disk: SlotDisk,
  { limits, log, signal }: { readonly limits: BuildLimits; readonly log: StepLog; readonly signal: AbortSignal },
): Promise<void> {
  const missing = (use: DiskUse): number => missingBytes(use, limits.diskMiB * MIB);
  const before = await disk.use();
  if (missing(before) === 0) return;
  await pruneCache(engine, Math.max(0, before.usedBytes - missing(before)), signal);
  if (missing(await disk.use()) > 0) {
    await pruneCache(engine, 0, signal);
    await pruneImages(engine, signal);
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

/** Least recently used first (BuildKit's order), down to `keepBytes` of cache. */
async function pruneCache(engine: Engine, keepBytes: number, signal: AbortSignal): Promise<void> {
  await post(engine, '/build/prune?', { all: '1', 'keep-storage': String(Math.floor(keepBytes)) }, signal);
}

/** Base images: they come from the host again when they are needed. */
async function pruneImages(engine: Engine, signal: AbortSignal): Promise<void> {
  await post(engine, '/images/prune?', { filters: { dangling: ['false'] } }, signal);
}

/** By hand: dockerode's pruneBuilder passes no options on. */
async function post(engine: Engine, path: string, options: object, signal: AbortSignal): Promise<void> {
  await engine.call(
    'prune the build cache',
    (docker, abortSignal) =>
      new Promise<void>((resolve, reject) => {
        const request = { path, method: 'POST', options, abortSignal, statusCodes: { 200: true, 500: 'server error' } };
        docker.modem.dial(request, (error: Error | null) => (error === null ? resolve() : reject(error)));
      }),
    { timeoutMs: PRUNE_TIMEOUT_MS, signal },
  );
}
