/** Assigns slots: the one that holds the environment's cache if it is free, else any; else first come, first served. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { SlotAffinity } from './slot-affinity.ts';

const MAX_WAITING = 32;

export interface SlotQueue {
  /**
   * Index of a slot that belongs to the caller until its release.
   * @param onWait called with the number of callers ahead when no slot is free
   * @throws OrkestrError ORK_QUEUE_FULL, ORK_CANCELLED
   */
  acquire(environmentId: string, signal: AbortSignal, onWait: (before: number) => void): Promise<number>;
  /** Index that `acquire` would return now; null if it would wait. */
  nextFor(environmentId: string): number | null;
  release(index: number): void;
}

/** A queue for `count` slots; `acquire` throws ORK_QUEUE_FULL and ORK_CANCELLED. */
export function makeSlotQueue(count: number, affinity: SlotAffinity): SlotQueue {
  const free = new Set(Array.from({ length: count }, (_, index) => index));
  const waiting: ((index: number) => void)[] = [];

  /** The preferred slot, else the lowest free one, so that fewer engines run. */
  const freeFor = (environmentId: string): number | undefined => {
    const preferred = affinity.of(environmentId);
    return preferred !== undefined && free.has(preferred) ? preferred : [...free].sort((a, b) => a - b)[0];
  };

  const wait = (signal: AbortSignal): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const leave = (): void => {
      const index = waiting.indexOf(resolve);
      if (index === -1) return; // it already has a slot, whose user handles the signal
      waiting.splice(index, 1);
      reject(cancelled());
    };
    waiting.push(resolve);
    signal.addEventListener('abort', leave, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', leave));
  };

  const take = async (
    environmentId: string,
    signal: AbortSignal,
    onWait: (before: number) => void,
  ): Promise<number> => {
    if (signal.aborted) throw cancelled();
    const index = freeFor(environmentId);
    if (index !== undefined) {
      free.delete(index);
      return index;
    }
    if (waiting.length >= MAX_WAITING) {
      throw new OrkestrError('ORK_QUEUE_FULL', `${waiting.length} builds are already waiting for the sandbox.`);
    }
    onWait(waiting.length);
    return wait(signal);
  };

  return {
    async acquire(environmentId, signal, onWait) {
      const index = await take(environmentId, signal, onWait);
      affinity.set(environmentId, index);
      return index;
    },
    nextFor: (environmentId) => freeFor(environmentId) ?? null,
    release(index) {
      const next = waiting.shift();
      if (next === undefined) free.add(index);
      else next(index);
    },
  };
}

const cancelled = (): OrkestrError => new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
