/** Observes a build from outside: when it met its limit and how much of the host's disk it took. */
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { HeldSlot } from '../../agent/sandbox/slot/slot.ts';

const EVERY_MS = 50;
const BLOCK_BYTES = 512;

export interface Sight {
  readonly elapsedMs: number;
  readonly processes: number;
  readonly refusedForks: number;
  readonly oomKills: number;
  /** Memory of the engine without its cache. */
  readonly engineBytes: number;
  readonly diskBytes: number;
  readonly inodes: number;
  readonly logBytes: number;
}

export interface Observer {
  /** Time (performance.now) at which the limit was met; null: never seen. */
  limitAt(): number | null;
  /** Bytes on the host that the slot's disk occupies: before, at most, now. */
  hostBytes(): Promise<{ readonly before: number; readonly most: number; readonly now: number }>;
  stop(): Promise<void>;
}

/** @param atLimit called with each observation until it returns true */
export async function observe(
  slot: HeldSlot,
  logBytes: () => number,
  atLimit: (sight: Sight) => boolean,
): Promise<Observer> {
  const image = `${slot.disk.folder}.img`;
  const held = async (): Promise<number> => (await stat(image)).blocks * BLOCK_BYTES;
  const began = performance.now();
  const [before, first] = [await held(), await slot.disk.use()];
  const over = new AbortController();
  let most = before;
  let limitAt: number | null = null;

  const look = async (): Promise<void> => {
    const [{ processes, refusedForks, oomKills, engineBytes }, use] = await Promise.all([
      slot.cgroup.read(),
      slot.disk.use(),
    ]);
    most = Math.max(most, await held());
    const sight: Sight = {
      elapsedMs: performance.now() - began,
      processes,
      refusedForks,
      oomKills,
      engineBytes,
      diskBytes: use.usedBytes - first.usedBytes,
      inodes: use.usedInodes - first.usedInodes,
      logBytes: logBytes(),
    };
    if (limitAt === null && atLimit(sight)) limitAt = performance.now();
  };
  const looking = (async () => {
    while (!over.signal.aborted) {
      await look();
      await delay(EVERY_MS);
    }
  })();

  return {
    limitAt: () => limitAt,
    hostBytes: async () => ({ before, most, now: await held() }),
    async stop() {
      over.abort();
      await looking;
    },
  };
}
