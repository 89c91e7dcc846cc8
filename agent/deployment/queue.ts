/** Which deployment runs next: one at a time per environment, a few at once, a bounded number waiting, in order of arrival. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';

export interface QueueLimits {
  /** Slots: a deployment that only waits for a drain has left its own. Removals have one beside them, so that none waits for builds. */
  readonly maxRunning: number;
  /** Removals are not counted: each has to be done, and takes no room. */
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
  /** Queue one; a deployment that waits or runs already is not queued twice. Never refuses: ask `checkRoom` before. */
  add(item: QueueItem): void;
  /** One that waits has only to end: it waits no longer for a slot, but still for what runs in its environment. */
  letGo(deploymentId: string): void;
  isIn(deploymentId: string): boolean;
  /** Environments in which something runs or waits. */
  environments(): ReadonlySet<string>;
  /** Start nothing more. */
  close(): void;
  /** Settles when nothing runs. */
  idle(): Promise<void>;
}

/**
 * @param run never rejects: what goes wrong with a deployment is its own affair. It may call `leaveSlot` when what is left of
 * it costs the host nothing; its environment stays busy until it has ended.
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
  /** Of those that wait: what has only to end. */
  const letGo = new Set<QueueItem>();
  let closed = false;

  const slots: Record<Lane, number> = { releases: limits.maxRunning, removals: 1, ends: Infinity };
  /** @param toGo environments whose removal waits: what is before it has only to end */
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
