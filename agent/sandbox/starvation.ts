/**
 * Builds take what apps leave. Apps that never rest would leave them nothing, and the version that mends such an app could
 * not be built: so a build that gets next to nothing for a while is given a share of its own, until the host has rest again.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Clock } from '../deployment/ports.ts';
import type { BuildPriority } from './cgroup/priority.ts';

/** Less of the host's time at rest means that somebody waits for a processor. */
const BUSY_IDLE_SHARE = 0.05;
/** Of one processor. */
const STARVED_SHARE = 0.1;

interface Pace {
  readonly lookEveryMs: number;
  /** A build starves for so long before it gets a share. */
  readonly patienceMs: number;
}

const DEFAULT_PACE: Pace = { lookEveryMs: 1000, patienceMs: 3000 };

/** Counters that only grow. */
export interface Sample {
  readonly atMs: number;
  /** Processor time of all builds. */
  readonly buildMs: number;
  /** Time that the host's processors had nothing to do. */
  readonly idleMs: number;
}

interface Starvation {
  readonly insisting: boolean;
  /** Moment since which builds have got next to nothing. */
  readonly since: number | null;
}

export const NOT_STARVED: Starvation = { insisting: false, since: null };

/** Pure: how it is at `now`, after how it was at `before`. */
export function judgeStarvation(
  starvation: Starvation,
  before: Sample,
  now: Sample,
  cores: number,
  patienceMs: number,
): Starvation {
  const passed = now.atMs - before.atMs;
  if (passed <= 0) return starvation;
  if (now.idleMs - before.idleMs >= BUSY_IDLE_SHARE * passed * cores) return NOT_STARVED;
  if (starvation.insisting) return starvation;
  if (now.buildMs - before.buildMs >= STARVED_SHARE * passed) return NOT_STARVED;
  const since = starvation.since ?? before.atMs;
  return { since, insisting: now.atMs - since >= patienceMs };
}

interface StarvationGuard {
  /** Looks after builds while any `work` goes on. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

export function makeStarvationGuard(priority: BuildPriority, clock: Clock, pace: Pace = DEFAULT_PACE): StarvationGuard {
  const cores = availableParallelism();
  let users = 0;
  let stop = new AbortController();

  const sample = async (): Promise<Sample> => ({
    atMs: clock.monotonic(),
    buildMs: (await priority.cpuMs()) ?? 0,
    idleMs: idleMs(await readFile('/proc/stat', 'utf8')),
  });

  const watch = async (signal: AbortSignal): Promise<void> => {
    await priority.insist(false);
    let starvation = NOT_STARVED;
    let before = await sample();
    for (;;) {
      await clock.sleep(pace.lookEveryMs, signal);
      const now = await sample();
      const next = judgeStarvation(starvation, before, now, cores, pace.patienceMs);
      await priority.insist(next.insisting); // also when it was so: systemd may have written its own meanwhile
      [starvation, before] = [next, now];
    }
  };

  return {
    async during(work) {
      users += 1;
      if (users === 1) {
        stop = new AbortController();
        // Ends with `stop`; and what cannot be read or written leaves builds as they are, they only are slower.
        watch(stop.signal).catch(() => undefined);
      }
      try {
        return await work();
      } finally {
        users -= 1;
        if (users === 0) stop.abort();
      }
    },
  };
}

/** proc_stat(5): the fourth and fifth number of the first line, idle and waiting for a disk, in hundredths of a second. */
export function idleMs(stat: string): number {
  const [, , , idle = 0, waiting = 0] = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  return (idle + waiting) * 10;
}
