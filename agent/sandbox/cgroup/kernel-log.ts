/**
 * Out-of-memory kills from the kernel's log (/dev/kmsg, kernel: ABI/testing/dev-kmsg). Under cgroup v1 a kill is counted
 * only in the group of its victim, which is gone with the RUN that died; the log still names it.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { CgroupReading } from './cgroup.ts';

const RECORD_BYTES = 8192;

/** Sequence number of the newest record; -1 where the log cannot be read (a container without the device). */
export function lastRecord(): number {
  let last = -1;
  readRecords((sequence) => {
    last = sequence;
  });
  return last;
}

/** Kills below control group `parent` ("/name") in the records after `since`, and those of them that no limit was the cause of. */
export function killsIn(parent: string, since: number): Pick<CgroupReading, 'oomKills' | 'hostOomKills'> {
  let [oomKills, hostOomKills] = [0, 0];
  readRecords((sequence, text) => {
    if (sequence <= since || !isKillBelow(parent, text)) return;
    oomKills += 1;
    if (isOfHost(text)) hostOomKills += 1;
  });
  return { oomKills, hostOomKills };
}

/** A group that met its limit is named as the constraint (mm/oom_kill.c of Linux). */
export const isOfHost = (text: string): boolean => !text.includes('constraint=CONSTRAINT_MEMCG');

export function isKillBelow(parent: string, text: string): boolean {
  const victim = /oom-kill:.*\btask_memcg=([^,]+)/.exec(text)?.[1];
  return victim !== undefined && (victim === parent || victim.startsWith(`${parent}/`));
}

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
