/**
 * Out-of-memory kills from the kernel's log (/dev/kmsg, kernel: ABI/testing/dev-kmsg). Under cgroup v1 a kill is counted
 * only in the group of its victim, which is gone with what died; the log still names it.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { uptime } from 'node:os';

const RECORD_BYTES = 8192;
/** By how much the kernel's clock and the engine's may differ. */
const SKEW_MS = 1000;

/** Sequence number of the newest record; -1 where the log cannot be read (a container without the device). */
export function lastRecord(): number {
  let last = -1;
  readRecords((sequence) => {
    last = sequence;
  });
  return last;
}

interface Kills {
  readonly oomKills: number;
  /** Those of them that no limit was the cause of: the host had no memory left. */
  readonly hostOomKills: number;
}

/** Kills below control group `parent` ("/name") in the records after `since`. */
export function killsIn(parent: string, since: number): Kills {
  let [oomKills, hostOomKills] = [0, 0];
  readRecords((sequence, text) => {
    if (sequence <= since || !isKillBelow(parent, text)) return;
    oomKills += 1;
    if (isOfHost(text)) hostOomKills += 1;
  });
  return { oomKills, hostOomKills };
}

/**
 * Whether the limit of a container has killed a process of it from `since` on (ms since the epoch). Engines name its control
 * group by its id: "/docker/ID", "docker-ID.scope".
 */
export function killedByLimit(containerId: string, since: number): boolean {
  const bootedAt = Date.now() - uptime() * 1000;
  let found = false;
  readRecords((_sequence, text) => {
    found ||= isKillOf(containerId, text) && bootedAt + momentOf(text) >= since - SKEW_MS;
  });
  return found;
}

export const isKillOf = (containerId: string, text: string): boolean =>
  victimOf(text)?.includes(containerId) === true && !isOfHost(text);

/** ms since the host booted: the third field of a record has microseconds. */
const momentOf = (text: string): number => Number(text.split(',', 3)[2]) / 1000;

/** A group that met its limit is named as the constraint (mm/oom_kill.c of Linux). */
export const isOfHost = (text: string): boolean => !text.includes('constraint=CONSTRAINT_MEMCG');

export function isKillBelow(parent: string, text: string): boolean {
  const victim = victimOf(text);
  return victim !== undefined && (victim === parent || victim.startsWith(`${parent}/`));
}

/** Control group of the process that was killed. */
const victimOf = (text: string): string | undefined => /oom-kill:.*\btask_memcg=([^,]+)/.exec(text)?.[1];

/** The log is a ring in memory: reading all of it takes a few milliseconds. */
function readRecords(each: (sequence: number, text: string) => void): void {
  let file: number;
  try {
    file = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return; // no kernel log here: the caller has other signs of a kill
  }
  const record = Buffer.alloc(RECORD_BYTES);
  try {
    for (;;) {
      const length = readRecord(file, record);
      if (length === 'end') return;
      const text = record.toString('utf8', 0, length);
      each(Number(text.split(',', 2)[1]), text);
    }
  } finally {
    closeSync(file);
  }
}

function readRecord(file: number, into: Buffer): number | 'end' {
  for (;;) {
    try {
      return readSync(file, into, 0, into.length, null);
    } catch (error) {
      // EPIPE: records were overwritten while we read; the next read goes on behind them. EAGAIN: no more.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return 'end';
    }
  }
}
