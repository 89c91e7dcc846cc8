/**
 * Builds get the processor time that apps leave. If apps never idle, a build would get none, not even one that fixes
 * such an app. So a build that gets next to nothing for a while is given a share of its own until the host idles again.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Clock, StepLog } from '../../deployment/ports.ts';
import type { BuildPriority } from './priority.ts';

/** Below this share of idle time, some process is waiting for a processor. */
const BUSY_IDLE_SHARE = 0.05;
/** Of one processor. */
const STARVED_SHARE = 0.1;

interface Pace {
  readonly lookEveryMs: number;
  /** How long a build starves before it gets a share. */
  readonly patienceMs: number;
}

const DEFAULT_PACE: Pace = { lookEveryMs: 1000, patienceMs: 3000 };

const BLIND = 'Whether apps leave this build a processor could not be seen, so it may be slow beside busy ones';

/** Counters that only grow. */
export interface Sample {
  readonly atMs: number;
  /** Processor time of all builds. */
  readonly buildMs: number;
  /** Time that the host's processors were idle. */
  readonly idleMs: number;
}

interface Starvation {
  readonly insisting: boolean;
  /** Since when builds have got next to nothing. */
  readonly since: number | null;
}

export const NOT_STARVED: Starvation = { insisting: false, since: null };

/** The state at `now`, given the state at `before`. Pure. */
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

type LogOfBuild = Pick<StepLog, 'line'>;

interface StarvationGuard {
  /** Watches over builds while any `work` runs. If it cannot, it says so in their logs. */
  during<T>(log: LogOfBuild, work: () => Promise<T>): Promise<T>;
}

export function makeStarvationGuard(priority: BuildPriority, clock: Clock, pace: Pace = DEFAULT_PACE): StarvationGuard {
  const cores = availableParallelism();
  const builds = new Set<{ readonly log: LogOfBuild }>();
  let stop = new AbortController();

  const sample = async (): Promise<Sample> => ({
    atMs: clock.monotonic(),
    buildMs: (await priority.cpuMs()) ?? 0,
    idleMs: idleMs(await readFile('/proc/stat', 'utf8')),
  });

  const watch = async (signal: AbortSignal): Promise<void> => {
    let starvation = NOT_STARVED;
    let before: Sample | null = null;
    let isReported = false;
    for (;;) {
      try {
        const now = await sample();
        starvation = before === null ? NOT_STARVED : judgeStarvation(starvation, before, now, cores, pace.patienceMs);
        before = now;
        await priority.insist(starvation.insisting); // also if unchanged: systemd may have overwritten the value
      } catch (error) {
        // Builds just stay slow; the next sample may succeed.
        if (!isReported) for (const { log } of builds) log.line(`${BLIND}: ${String(error)}`);
        isReported = true;
      }
      await clock.sleep(pace.lookEveryMs, signal);
    }
  };

  return {
    async during(log, work) {
      const build = { log };
      builds.add(build);
      if (builds.size === 1) {
        stop = new AbortController();
        watch(stop.signal).catch(() => undefined); // ends only by `stop`, which aborts its sleep
      }
      try {
        return await work();
      } finally {
        builds.delete(build);
        if (builds.size === 0) stop.abort();
      }
    },
  };
}

/** proc_stat(5): fourth and fifth number of the first line, idle and I/O wait, in hundredths of a second. */
export function idleMs(stat: string): number {
  const [, , , idle = 0, waiting = 0] = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  return (idle + waiting) * 10;
}
