/**
 * The sandbox: a few slots, each an engine of its own, so that what one build does to its machine no other one feels.
 * An environment gets the slot that it had last, where its cache is, or else any that is free, or waits.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import type { Engine } from '../lib/engine.ts';
import { type Exec, exec } from '../lib/exec.ts';
import { serialize } from '../lib/serialize.ts';
import { type BuildGroup, buildGroup, removeGroup } from './cgroup/group.ts';
import { type BuildPriority, makeBuildPriority } from './cgroup/priority.ts';
import { openSlotAffinity } from './slot-affinity.ts';
import { makeSlotQueue } from './slot-queue.ts';
import { makeSlot, type SandboxLease, type Slot, type SlotUse } from './slot.ts';
import { makeStarvationGuard } from './starvation.ts';

const DEFAULT_IDLE_MS = 10 * 60_000;

export type { SandboxLease };

interface SandboxOptions {
  readonly scope: string;
  /** Folder of the slots' disks: with room. */
  readonly stateDirectory: string;
  /** Folder of their sockets and run-time files: a short path, since unix sockets have at most 107 bytes. */
  readonly runDirectory: string;
  /** Opens an engine by its socket: docker/engine.ts `makeEngine`. */
  readonly openEngine: (socketPath: string) => Engine;
  /** Builds at a time. Default 1. */
  readonly slots?: number;
  /** Size of a slot's disk, see disk.ts. Default null: as the host has room. */
  readonly diskMiB?: number | null;
  /** Stop an engine after this many ms without a build. Default ten minutes. */
  readonly idleMs?: number;
  readonly exec?: Exec;
}

interface SandboxRequest extends SlotUse {
  readonly environmentId: string;
}

export interface Sandbox {
  /**
   * Do `work` in a slot under `limits`; others wait their turn.
   * @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_QUEUE_FULL, ORK_CANCELLED
   */
  use<T>(request: SandboxRequest, work: (lease: SandboxLease) => Promise<T>): Promise<T>;
  /** Starts the engine of a slot for a use that will come. What goes wrong is told by that use. */
  warm(request: Omit<SandboxRequest, 'signal'>): void;
  /** Whether any of its engines runs now. */
  isRunning(): Promise<boolean>;
  /** Stop the engines and take all but the caches away. */
  stop(): Promise<void>;
  /** Stop, and delete the caches too. */
  purge(): Promise<void>;
}

export function makeSandbox(options: SandboxOptions): Sandbox {
  const group = buildGroup(options.scope);
  const priority = makeBuildPriority(group);
  const guard = makeStarvationGuard(priority, systemClock);
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
    return makeSlot({
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
      alone,
    });
  });
}

/** a, b, …: one character more in every name, since names of network interfaces have at most 15. */
const letterOf = (index: number): string => String.fromCodePoint('a'.charCodeAt(0) + index);
