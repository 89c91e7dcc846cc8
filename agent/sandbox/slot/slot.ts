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
import { type EngineUse, makeSlotEngine, type SlotEngine, type SlotEngineOptions } from './slot-engine.ts';
import { beginBuild, openUnfinishedBuild, type UnfinishedBuildFile } from './unfinished-build.ts';

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

export interface SlotUse extends EngineUse {
  readonly signal: AbortSignal;
}

export class Slot {
  readonly #options: SlotOptions;
  readonly #slotEngine: SlotEngine;
  readonly #unfinished: UnfinishedBuildFile;
  /** Starting, building and stopping never overlap. */
  readonly #inTurn = serialize();
  readonly #chores: (() => Promise<void>)[] = [];
  #tidying = new AbortController();
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#slotEngine = makeSlotEngine(options);
    this.#unfinished = openUnfinishedBuild(options.stateDirectory);
  }

  /** @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_CANCELLED */
  use<T>(use: SlotUse, work: (slot: HeldSlot) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      if (use.signal.aborted) throw new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
      const began = beginBuild(this.#options.clock);
      return this.#whileRunning(use, () => this.#build(began, use, work));
    });
  }

  /** Starts the engine ahead of an expected `use`. Ignores failures: that `use` reports them. */
  warm(use: EngineUse): void {
    this.#inTurn(() => this.#whileRunning(use, async () => undefined)).catch(() => undefined);
  }

  /** Cleans up after a build. Never rejects: what fails here is done before the next build. */
  tidy(): Promise<void> {
    // Failure means that the engine is gone, and its disk with it.
    return this.#inTurn(() => this.#tidyNow()).catch(() => undefined);
  }

  isRunning(): Promise<boolean> {
    return this.#slotEngine.isRunning();
  }

  /** Stops the engine and removes namespace, rules, control groups and mounts. The cache stays for the next start. */
  stop(): Promise<void> {
    this.#tidying.abort(); // the stop need not wait for the cache cleanup
    return this.#inTurn(() => this.#stopNow());
  }

  /** Stops the engine and deletes the cache too. */
  purge(): Promise<void> {
    this.#tidying.abort();
    return this.#inTurn(async () => {
      await this.#stopNow();
      await rm(this.#options.stateDirectory, { recursive: true, force: true });
      await rm(this.#options.runDirectory, { recursive: true, force: true });
    });
  }

  async #whileRunning<T>(use: EngineUse, work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#idleTimer);
    try {
      await this.#slotEngine.ensureRunning(use);
      await this.#slotEngine.version(); // cached before the next use needs it
      return await work();
    } finally {
      this.#stopWhenIdle();
    }
  }

  /** @param began returns when the build began, ms since the epoch */
  async #build<T>(began: () => number, use: SlotUse, work: (slot: HeldSlot) => Promise<T>): Promise<T> {
    await this.#clearUnfinished(use.signal); // left by a build without `tidy`: the agent was killed
    await evictForBuild(this.#slotEngine.engine, this.#slotEngine.disk, use);
    const marked = began();
    this.#unfinished.write({ began: marked, oversized: false });
    try {
      const made = await work(await this.#held());
      this.#unfinished.clear();
      return made;
    } catch (error) {
      const oversized = error instanceof OrkestrError && OVERSIZED.has(error.code);
      // Otherwise the file already says so.
      if (oversized || began() !== marked) this.#unfinished.write({ began: began(), oversized });
      throw error;
    }
  }

  async #held(): Promise<HeldSlot> {
    const { engine, cgroup, disk, network } = this.#slotEngine;
    const version = await this.#slotEngine.version();
    const afterwards = (chore: () => Promise<void>): void => void this.#chores.push(chore);
    return { engine, version, cgroup, disk, network, clock: this.#options.clock, afterwards };
  }

  async #tidyNow(): Promise<void> {
    this.#tidying = new AbortController();
    for (const chore of this.#chores.splice(0)) await chore();
    await this.#clearUnfinished(this.#tidying.signal);
    await this.#slotEngine.disk.giveBack();
  }

  /** Removes from the cache what an unsuccessful build left there. */
  async #clearUnfinished(signal: AbortSignal): Promise<void> {
    const left = this.#unfinished.read();
    if (left === null) return;
    const { engine } = this.#slotEngine;
    await untilUnused(engine, signal);
    await (left.oversized ? dropSince : dropCopiesSince)(engine, left.began);
    this.#unfinished.clear();
  }

  #stopWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    // If stopping fails, the next stop retries it; the next build copes with whatever is left.
    const stop = (): void => void this.#inTurn(() => this.#stopNow()).catch(() => undefined);
    this.#idleTimer = setTimeout(stop, this.#options.idleMs);
    this.#idleTimer.unref();
  }

  #stopNow(): Promise<void> {
    clearTimeout(this.#idleTimer);
    return this.#slotEngine.tearDown();
  }
}
