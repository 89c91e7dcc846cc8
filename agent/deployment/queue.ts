/**
 * Decides which deployment runs next: one at a time per environment, a few at once, in order of arrival; the number of
 * waiting ones is bounded.
 */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';

export interface QueueLimits {
  /**
   * Slots. A deployment that only waits for a drain has left its slot. Removals have one slot of their own, so that
   * none waits for builds.
   */
  readonly maxRunning: number;
  /** Does not count removals: each has to be done, and needs no room. */
  readonly maxWaiting: number;
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = { maxRunning: 2, maxWaiting: 100 };

export interface QueueItem {
  readonly deploymentId: string;
  readonly environmentId: string;
  readonly kind: Job['kind'];
}

type Lane = 'releases' | 'removals' | 'ends';

interface DeploymentQueue {
  /** @throws OrkestrError ORK_QUEUE_FULL */
  checkRoom(): void;
  /** Queues an item, unless its deployment already waits or runs. Never refuses: call `checkRoom` first. */
  add(item: QueueItem): void;
  /** A waiting item that only has to end: it no longer waits for a slot, but still for what runs in its environment. */
  letGo(deploymentId: string): void;
  isIn(deploymentId: string): boolean;
  /** Environments with a running or waiting item. */
  environments(): ReadonlySet<string>;
  /** Starts nothing more. */
  close(): void;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

/**
 * @param run never rejects: it handles the errors of its deployment itself. It may call `leaveSlot` once the rest costs
 *   the host nothing; its environment stays busy until it ends.
 */
export function makeQueue(
  limits: QueueLimits,
  run: (item: QueueItem, leaveSlot: () => void) => Promise<void>,
): DeploymentQueue {
  const waiting: QueueItem[] = [];
  /** By environment. */
  const running = new Map<string, QueueItem>();
  const inSlots: Record<Lane, Set<QueueItem>> = { releases: new Set(), removals: new Set(), ends: new Set() };
  const ends = new Set<Promise<void>>();
  /** Waiting items that only have to end. */
  const letGo = new Set<QueueItem>();
  let closed = false;

  const slots: Record<Lane, number> = { releases: limits.maxRunning, removals: 1, ends: Infinity };
  /** @param toGo environments with a waiting removal: the items before it only have to end */
  const laneOf = (one: QueueItem, toGo: ReadonlySet<string>): Lane => {
    if (letGo.has(one)) return 'ends';
    return toGo.has(one.environmentId) ? 'removals' : 'releases';
  };

  const startNext = (): void => {
    for (;;) {
      const toGo = new Set(waiting.filter(({ kind }) => kind === 'remove').map(({ environmentId }) => environmentId));
      const mayStart = (one: QueueItem): boolean => {
        const lane = laneOf(one, toGo);
        return !running.has(one.environmentId) && inSlots[lane].size < slots[lane];
      };
      const item = closed ? undefined : waiting.find(mayStart);
      if (!item) return;
      running.set(item.environmentId, item);
      inSlots[laneOf(item, toGo)].add(item);
      waiting.splice(waiting.indexOf(item), 1);
      letGo.delete(item);
      const ended = run(item, () => leaveSlot(item)).finally(() => {
        ends.delete(ended);
        running.delete(item.environmentId);
        leaveSlot(item);
      });
      ends.add(ended);
    }
  };
  const leaveSlot = (item: QueueItem): void => {
    for (const lane of Object.values(inSlots)) lane.delete(item);
    startNext();
  };
  const isIn = (deploymentId: string): boolean =>
    [...running.values(), ...waiting].some((item) => item.deploymentId === deploymentId);

  return {
    checkRoom() {
      if (waiting.filter(({ kind }) => kind !== 'remove').length < limits.maxWaiting) return;
      throw new OrkestrError('ORK_QUEUE_FULL', `${limits.maxWaiting} deployments are already waiting on this host.`);
    },
    add(item) {
      if (isIn(item.deploymentId)) return;
      waiting.push(item);
      startNext();
    },
    letGo(deploymentId) {
      const item = waiting.find((one) => one.deploymentId === deploymentId);
      if (!item) return;
      letGo.add(item);
      startNext();
    },
    isIn,
    environments: () => new Set([...running.keys(), ...waiting.map((item) => item.environmentId)]),
    close() {
      closed = true;
    },
    async idle() {
      while (ends.size > 0) await Promise.allSettled(ends);
    },
  };
}
