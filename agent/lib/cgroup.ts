/** Memory counters of a cgroup, under v1 (kernel: admin-guide/cgroup-v1/memory.rst) and v2 (cgroup-v2.rst). */
import { join } from 'node:path';
import { readProc } from './proc.ts';

const ROOT = '/sys/fs/cgroup';

/** Folder of a process's memory cgroup; null if the process is gone. */
export async function memoryCgroupOf(pid: number): Promise<string | null> {
  const text = await readProc(`/proc/${pid}/cgroup`);
  return text === null ? null : memoryFolder(text);
}

/** The folder that the lines of /proc/PID/cgroup name for memory. */
export function memoryFolder(text: string): string | null {
  const entries = text
    .trim()
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const v1 = entries.find((entry) => entry?.[1]?.split(',').includes('memory'));
  if (v1?.[2] !== undefined) return join(ROOT, 'memory', v1[2]);
  const v2 = entries.find((entry) => entry?.[1] === '');
  return v2?.[2] === undefined ? null : join(ROOT, v2[2]);
}

/**
 * How many processes the kernel killed in this cgroup for lack of memory (v2: and below it); null: the cgroup is gone.
 */
export async function oomKills(folder: string): Promise<number | null> {
  const text = (await readProc(join(folder, 'memory.events'))) ?? (await readProc(join(folder, 'memory.oom_control')));
  return text === null ? null : counterIn(text, 'oom_kill');
}

/** How often this cgroup hit its own limit and needed an OOM kill (v2, including those below it); null: unknown. */
export async function ownOoms(folder: string): Promise<number | null> {
  const text = await readProc(join(folder, 'memory.events'));
  return text === null ? null : counterIn(text, 'oom');
}

function counterIn(text: string, name: string): number | null {
  const count = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
  return count === undefined ? null : Number(count);
}

/**
 * Highest memory use in bytes since the cgroup was created or reset; null if the kernel does not record it (v2 before
 * Linux 5.19), or if there was none.
 */
export async function peakMemory(folder: string): Promise<number | null> {
  const text =
    (await readProc(join(folder, 'memory.peak'))) ?? (await readProc(join(folder, 'memory.max_usage_in_bytes')));
  return Number(text?.trim()) || null;
}

/** Unreclaimable memory in bytes of this cgroup's processes (v1: and of those below it); null: the cgroup is gone. */
export async function heldMemory(folder: string): Promise<number | null> {
  const text = await readProc(join(folder, 'memory.stat'));
  const bytes = text === null ? undefined : /^(?:anon|total_rss) (\d+)$/m.exec(text)?.[1];
  return bytes === undefined ? null : Number(bytes);
}
