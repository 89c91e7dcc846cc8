/**
 * Out-of-memory kills from the kernel's log (/dev/kmsg, kernel: ABI/testing/dev-kmsg). Under cgroup v1 only the
 * victim's cgroup counts a kill, and it is removed together with the container; the log still names it.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { uptime } from 'node:os';

const RECORD_BYTES = 8192;
/** Maximum difference between the kernel's clock and the engine's. */
const SKEW_MS = 1000;

interface Kills {
  readonly oomKills: number;
  /** Those of them that were not caused by a limit: the host ran out of memory. */
  readonly hostOomKills: number;
}

interface KillWatch {
  /** Kills since the watch began. */
  count(): Kills;
  close(): void;
}

/**
 * Watches for kills below cgroup `parent` ("/name"). The log stays open, so that each count reads only new records:
 * reading all of it takes milliseconds of CPU time. If the log cannot be read (a container without the device), nothing
 * is counted.
 */
export function watchKills(parent: string): KillWatch {
  const file = openLog();
  let [oomKills, hostOomKills] = [0, 0];
  if (file !== null) readRecords(file, () => undefined);
  return {
    count() {
      if (file === null) return { oomKills, hostOomKills };
      readRecords(file, (text) => {
        if (!isKillBelow(parent, text)) return;
        oomKills += 1;
        if (isOfHost(text)) hostOomKills += 1;
      });
      return { oomKills, hostOomKills };
    },
    close() {
      if (file !== null) closeSync(file);
    },
  };
}

/**
 * Whether the limit of a container caused a kill in it from `since` on (ms since the epoch). Engines name its cgroup by
 * its id: "/docker/ID", "docker-ID.scope".
 */
export function killedByLimit(containerId: string, since: number): boolean {
  const bootedAt = Date.now() - uptime() * 1000;
  const file = openLog();
  if (file === null) return false; // the caller has other signs of a kill
  let found = false;
  try {
    readRecords(file, (text) => {
      found ||= isKillOf(containerId, text) && bootedAt + momentOf(text) >= since - SKEW_MS;
    });
  } finally {
    closeSync(file);
  }
  return found;
}

export const isKillOf = (containerId: string, text: string): boolean =>
  victimOf(text)?.includes(containerId) === true && !isOfHost(text);

/** ms since the host booted: the third field of a record has microseconds. */
const momentOf = (text: string): number => Number(text.split(',', 3)[2]) / 1000;

/** If a cgroup hit its limit, the record names that as the constraint (mm/oom_kill.c of Linux). */
export const isOfHost = (text: string): boolean => !text.includes('constraint=CONSTRAINT_MEMCG');

/** Whether a record reports a kill in the cgroup `parent` or below it. */
export function isKillBelow(parent: string, text: string): boolean {
  const victim = victimOf(text);
  return victim !== undefined && (victim === parent || victim.startsWith(`${parent}/`));
}

/** Cgroup of the killed process. */
const victimOf = (text: string): string | undefined => /oom-kill:.*\btask_memcg=([^,]+)/.exec(text)?.[1];

/** Opens the log at its oldest record; null if there is no log. */
function openLog(): number | null {
  try {
    return openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null; // no kernel log here
  }
}

/** The log is a ring in memory: reading all of it takes a few milliseconds. */
function readRecords(file: number, each: (text: string) => void): void {
  const record = Buffer.alloc(RECORD_BYTES);
  for (;;) {
    const length = readRecord(file, record);
    if (length === 'end') return;
    each(record.toString('utf8', 0, length));
  }
}

function readRecord(file: number, into: Buffer): number | 'end' {
  for (;;) {
    try {
      return readSync(file, into, 0, into.length, null);
    } catch (error) {
      // EPIPE: records were overwritten while we read; the next read continues after them. EAGAIN: no more.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return 'end';
    }
  }
}
