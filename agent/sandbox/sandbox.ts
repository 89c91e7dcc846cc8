/**
 * The sandbox: a few slots, each an engine of its own, so that what one build does to its machine no other one feels.
 * An environment gets the slot that it had last, where its cache is, or else any that is free, or waits.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Engine } from '../lib/engine.ts';
import { type Exec, exec } from '../lib/exec.ts';
import { openHomes } from './homes.ts';
import { makeSlot, type SandboxLease, type Slot, type SlotUse } from './slot.ts';

const DEFAULT_IDLE_MS = 10 * 60_000;
const MAX_WAITING = 32;

export type { SandboxLease };

export interface SandboxOptions {
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
  /** Stop an engine after this many ms without a build. */
  readonly idleMs?: number;
  readonly exec?: Exec;
}

export interface SandboxRequest extends SlotUse {
  readonly environmentId: string;
}

export interface Sandbox {
  /**
   * Do `work` in a slot under `limits`; others wait their turn.
   * @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_QUEUE_FULL, ORK_CANCELLED
   */
  use<T>(request: SandboxRequest, work: (lease: SandboxLease) => Promise<T>): Promise<T>;
  /** Whether any of its engines runs now. */
  isRunning(): Promise<boolean>;
  /** Stop the engines and take all but the caches away. */
  stop(): Promise<void>;
  /** Stop, and delete the caches too. */
  purge(): Promise<void>;
}

/** A build in the queue: called with the slot that became free. */
type Waiting = (index: number) => void;

export function makeSandbox(options: SandboxOptions): Sandbox {
  const slots = makeSlots(options);
  const homes = openHomes(options.stateDirectory);
  const free = new Set(slots.keys());
  const waiting: Waiting[] = [];

  /** The slot that this environment had last, else the first that is free. */
  const freeFor = (environmentId: string): number | undefined => {
    const home = homes.of(environmentId);
    if (home !== undefined && free.has(home)) return home;
    return [...slots.keys()].find((index) => free.has(index));
  };

  const release = (index: number): void => {
    const next = waiting.shift();
    if (next === undefined) free.add(index);
    else next(index);
  };

  const acquire = async ({ environmentId, log, signal }: SandboxRequest): Promise<number> => {
    if (signal.aborted) throw cancelled();
    const index = freeFor(environmentId);
    if (index !== undefined) {
      free.delete(index);
      return index;
    }
    if (waiting.length >= MAX_WAITING) {
      throw new OrkestrError('ORK_QUEUE_FULL', `${waiting.length} builds are waiting for the sandbox already.`);
    }
    log.line(`Waiting for a free build slot, ${waiting.length} before this one`);
    return waitForSlot(waiting, signal);
  };

  const each = async (work: (slot: Slot) => Promise<void>): Promise<void> => {
    const results = await Promise.allSettled(slots.map(work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };

  return {
    async use(request, work) {
      const index = await acquire(request);
      const slot = slots[index];
      if (slot === undefined) throw new RangeError(`There is no slot ${index}.`);
      homes.set(request.environmentId, index);
      try {
        return await slot.use(request, work);
      } finally {
        void slot.tidy().then(() => release(index));
      }
    },
    isRunning: async () => (await Promise.all(slots.map((slot) => slot.isRunning()))).includes(true),
    stop: () => each((slot) => slot.stop()),
    async purge() {
      await each((slot) => slot.purge());
      for (const folder of [options.stateDirectory, options.runDirectory]) {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

function makeSlots(options: SandboxOptions): readonly Slot[] {
  const { slots: count = 1, diskMiB = null, idleMs = DEFAULT_IDLE_MS, exec: by = exec } = options;
  let starting: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const result = starting.then(work);
    starting = result.catch(() => undefined); // its own caller hears of it
    return result;
  };
  return Array.from({ length: count }, (_, index) => {
    const letter = letterOf(index);
    return makeSlot({
      name: `${options.scope}${letter}`,
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

function waitForSlot(waiting: Waiting[], signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const leave = (): void => {
    const index = waiting.indexOf(resolve);
    if (index === -1) return; // it has a slot already, which sees the signal too
    waiting.splice(index, 1);
    reject(cancelled());
  };
  waiting.push(resolve);
  signal.addEventListener('abort', leave, { once: true });
  return promise.finally(() => signal.removeEventListener('abort', leave));
}

const cancelled = (): OrkestrError => new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
