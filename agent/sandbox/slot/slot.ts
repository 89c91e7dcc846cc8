/** One slot: a build-only engine with its own namespace, control groups and disk. Starts on demand, stops when idle. */
import { rm } from 'node:fs/promises';
import { type ErrorCode } from '../../../protocol/error-catalogue.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Clock } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import { serialize } from '../../lib/serialize.ts';
import { dropCopiesSince, dropSince, untilUnused } from './build-cache.ts';
import { evictForBuild } from './cache-eviction.ts';
import type { BuildCgroup } from '../cgroup/cgroup.ts';
import type { EngineVersion } from './daemon.ts';
import type { SlotDisk } from './disk.ts';
import type { SandboxNetwork } from '../network/network.ts';
import { type EngineUse, makeSlotEngine, type SlotEngineOptions } from './slot-engine.ts';
import { beginBuild, openUnfinishedBuild } from './unfinished-build.ts';

/** Failures after which all that the build cached is dropped, since it would push out other environments' cache. */
const OVERSIZED: ReadonlySet<ErrorCode> = new Set(['ORK_BUILD_DISK', 'ORK_BUILD_INODES', 'ORK_IMAGE_TOO_LARGE']);

interface SlotOptions extends SlotEngineOptions {
  /** How long the engine keeps running without a build, ms. */
  readonly idleMs: number;
}

/** What a build has at its disposal while it holds the slot. */
export interface HeldSlot {
  readonly engine: Engine;
  readonly version: EngineVersion;
  readonly cgroup: BuildCgroup;
  readonly disk: SlotDisk;
  readonly network: SandboxNetwork;
  /** The sandbox's source of time. */
  readonly clock: Clock;
  /** Queues `chore`, which must never reject, to run after the build but before the slot's next one, not awaited. */
  afterwards(chore: () => Promise<void>): void;
}

export interface Slot {
  /** @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_CANCELLED */
  use<T>(use: SlotUse, work: (slot: HeldSlot) => Promise<T>): Promise<T>;
  /** Starts the engine ahead of an expected `use`. Ignores failures: that `use` reports them. */
  warm(use: EngineUse): void;
  /** Cleans up after a build. Never rejects: what fails here is done before the next build. */
  tidy(): Promise<void>;
  isRunning(): Promise<boolean>;
  /** Stops the engine and removes namespace, rules, control groups and mounts. The cache stays for the next start. */
  stop(): Promise<void>;
  /** Stops the engine and deletes the cache too. */
  purge(): Promise<void>;
}

export interface SlotUse extends EngineUse {
  readonly signal: AbortSignal;
}

export function makeSlot(options: SlotOptions): Slot {
  const { stateDirectory, runDirectory, clock } = options;
  const slot = makeSlotEngine(options);
  const { engine, cgroup, disk, network } = slot;
  /** Starting, building and stopping never overlap. */
  const inTurn = serialize();
  const unfinished = openUnfinishedBuild(stateDirectory);
  const chores: (() => Promise<void>)[] = [];
  let tidying = new AbortController();
  let idleTimer: NodeJS.Timeout | undefined;

  /** Removes from the cache what an unsuccessful build left there. */
  const clearUnfinished = async (signal: AbortSignal): Promise<void> => {
    const left = unfinished.read();
    if (left === null) return;
    await untilUnused(engine, signal);
    await (left.oversized ? dropSince : dropCopiesSince)(engine, left.began);
    unfinished.clear();
  };

  const tidy = async (): Promise<void> => {
    tidying = new AbortController();
    for (const chore of chores.splice(0)) await chore();
    await clearUnfinished(tidying.signal);
    await disk.giveBack();
  };

  const stop = (): Promise<void> => {
    clearTimeout(idleTimer);
    return slot.tearDown();
  };

  const stopWhenIdle = (): void => {
    clearTimeout(idleTimer);
    // If stopping fails, the next stop retries it; the next build copes with whatever is left.
    idleTimer = setTimeout(() => void inTurn(stop).catch(() => undefined), options.idleMs);
    idleTimer.unref();
  };

  const whileRunning = async <T>(use: EngineUse, work: () => Promise<T>): Promise<T> => {
    clearTimeout(idleTimer);
    try {
      await slot.ensureRunning(use);
      await slot.version(); // cached before the next use needs it
      return await work();
    } finally {
      stopWhenIdle();
    }
  };

  return {
    use: (use, work) =>
      inTurn(async () => {
        if (use.signal.aborted) throw new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
        const began = beginBuild(clock);
        return whileRunning(use, async () => {
          await clearUnfinished(use.signal); // left by a build without `tidy`: the agent was killed
          await evictForBuild(engine, disk, use);
          const marked = began();
          unfinished.write({ began: marked, oversized: false });
          try {
            const afterwards = (chore: () => Promise<void>): void => void chores.push(chore);
            const version = await slot.version();
            const made = await work({ engine, version, cgroup, disk, network, clock, afterwards });
            unfinished.clear();
            return made;
          } catch (error) {
            const oversized = error instanceof OrkestrError && OVERSIZED.has(error.code);
            // Otherwise the file already says so.
            if (oversized || began() !== marked) unfinished.write({ began: began(), oversized });
            throw error;
          }
        });
      }),
    warm(use) {
      // The use repeats what failed here, and reports it.
      inTurn(() => whileRunning(use, async () => undefined)).catch(() => undefined);
    },
    // Failure means that the engine is gone, and its disk with it.
    tidy: () => inTurn(tidy).catch(() => undefined),
    isRunning: () => slot.isRunning(),
    stop() {
      tidying.abort(); // the stop need not wait for the cache cleanup
      return inTurn(stop);
    },
    purge() {
      tidying.abort();
      return inTurn(async () => {
        await stop();
        await rm(stateDirectory, { recursive: true, force: true });
        await rm(runDirectory, { recursive: true, force: true });
      });
    },
  };
}
