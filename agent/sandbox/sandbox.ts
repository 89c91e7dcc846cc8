/**
 * The sandbox: a few slots, each with its own engine, so that builds do not affect one another. An environment gets the
 * slot that it used last, which holds its cache; else any free slot; else it waits.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { type Exec, exec } from '../lib/exec.ts';
import { serialize } from '../lib/serialize.ts';
import { type BuildGroup, buildGroup, removeGroup } from './cgroup/group.ts';
import { type BuildPriority, makeBuildPriority } from './cgroup/priority.ts';
import { openSlotAffinity } from './slot/slot-affinity.ts';
import { makeSlotQueue } from './slot/slot-queue.ts';
import { type HeldSlot, Slot, type SlotUse } from './slot/slot.ts';
import { makeStarvationGuard } from './cgroup/starvation.ts';

const DEFAULT_IDLE_MS = 10 * 60_000;

interface SandboxOptions {
  readonly scope: string;
  /** Folder of the slots' disks. Needs free space. */
  readonly stateDirectory: string;
  /** Folder of their sockets and runtime files. Keep the path short: a unix socket path holds at most 107 bytes. */
  readonly runDirectory: string;
  /** Opens an engine by its socket path: docker/engine.ts `makeEngine`. */
  readonly openEngine: (socketPath: string) => Engine;
  /** Concurrent builds. Default 1. */
  readonly slots?: number;
  /** Size of a slot's disk, see slot/disk-size.ts. Default null: as large as the host has room for. */
  readonly diskMiB?: number | null;
  /** Stop an engine after this many ms without a build. Default ten minutes. */
  readonly idleMs?: number;
  readonly exec?: Exec;
  /** Tells the sandbox and its builds the time. Deadlines of calls are real timers. */
  readonly clock: Clock;
}

interface SandboxRequest extends SlotUse {
  readonly environmentId: string;
}

export interface Sandbox {
  /**
   * Runs `work` in a slot under `limits`. Further callers wait their turn.
   * @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_QUEUE_FULL, ORK_CANCELLED
   */
  use<T>(request: SandboxRequest, work: (slot: HeldSlot) => Promise<T>): Promise<T>;
  /** Starts a slot's engine ahead of an expected `use`. Ignores failures: that `use` reports them. */
  warm(request: Omit<SandboxRequest, 'signal'>): void;
  /** Whether any of the engines is running. */
  isRunning(): Promise<boolean>;
  /** Stops the engines and removes everything but the caches. */
  stop(): Promise<void>;
  /** Stops the engines and deletes the caches too. */
  purge(): Promise<void>;
}

export function makeSandbox(options: SandboxOptions): Sandbox {
  const group = buildGroup(options.scope);
  const priority = makeBuildPriority(group);
  const guard = makeStarvationGuard(priority, options.clock);
  const slots = makeSlots(options, group, priority);
  const queue = makeSlotQueue(slots.length, openSlotAffinity(options.stateDirectory));

  const each = async (work: (slot: Slot) => Promise<void>): Promise<void> => {
    const results = await Promise.allSettled(slots.map(work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };

  return {
    async use(request, work) {
      const { environmentId, signal, log } = request;
      const index = await queue.acquire(environmentId, signal, (before) =>
        log.line(`Waiting for a free build slot, ${before} before this one`),
      );
      const slot = slots[index];
      if (slot === undefined) throw new RangeError(`There is no slot ${index}.`);
      try {
        return await guard.during(log, () => slot.use(request, work));
      } finally {
        void slot.tidy().then(() => queue.release(index));
      }
    },
    isRunning: async () => (await Promise.all(slots.map((slot) => slot.isRunning()))).includes(true),
    async stop() {
      await each((slot) => slot.stop());
      await removeGroup(group.path);
    },
    async purge() {
      await each((slot) => slot.purge());
      await removeGroup(group.path);
      for (const folder of [options.stateDirectory, options.runDirectory]) {
        await rm(folder, { recursive: true, force: true });
      }
    },
    warm(request) {
      const index = queue.nextFor(request.environmentId);
      if (index !== null) slots[index]?.warm(request);
    },
  };
}

function makeSlots(options: SandboxOptions, group: BuildGroup, priority: BuildPriority): readonly Slot[] {
  const { slots: count = 1, diskMiB = null, idleMs = DEFAULT_IDLE_MS, exec: by = exec } = options;
  const alone = serialize();
  return Array.from({ length: count }, (_, index) => {
    const letter = letterOf(index);
    return new Slot({
      name: `${options.scope}${letter}`,
      group: `${group.path}/${letter}`,
      priority,
      stateDirectory: join(options.stateDirectory, letter),
      runDirectory: join(options.runDirectory, letter),
      openEngine: options.openEngine,
      idleMs,
      diskMiB,
      slots: count,
      exec: by,
      clock: options.clock,
      alone,
    });
  });
}

/** a, b, …: a single character, since names contain it and network interface names hold at most 15. */
const letterOf = (index: number): string => String.fromCodePoint('a'.charCodeAt(0) + index);
