/**
 * Identifies a process beyond its pid. Pids are reused; pid, start time and boot id together are not, so a recorded
 * process can be killed after a restart of ours without ever hitting an unrelated one.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

export const ProcessIdentity = z.object({
  pid: z.int().min(1),
  /** Clock ticks since boot: field 22 of /proc/PID/stat, proc(5). */
  startTicks: z.string(),
  /** /proc/sys/kernel/random/boot_id: ticks start anew with each boot. */
  bootId: z.string(),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

/** Identity of a running process; null if there is none with that pid, or only a zombie. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name, field 2, may contain spaces and parentheses; after its last one, fields are plain: state is field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (state === 'Z' || startTicks === undefined) return null;
  return { pid, startTicks, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
}

export function isAlive(process: ProcessIdentity): boolean {
  const now = identify(process.pid);
  return now?.startTicks === process.startTicks && now.bootId === process.bootId;
}

/**
 * Sends SIGTERM, and SIGKILL after `graceMs`. Resolves when the process is gone. Returns whether it had to be killed.
 */
export async function endProcess(target: ProcessIdentity, graceMs: number): Promise<{ killed: boolean }> {
  if (signal(target, 'SIGTERM') && (await isGoneWithin(target, graceMs))) return { killed: false };
  if (!signal(target, 'SIGKILL')) return { killed: false };
  // Only a process stuck in the kernel outlives SIGKILL for long; nothing more can be done about it.
  await isGoneWithin(target, 10_000);
  return { killed: true };
}

/** @returns false if the process is already gone */
export function signal(target: ProcessIdentity, name: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function isGoneWithin(target: ProcessIdentity, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (isAlive(target)) {
    if (performance.now() > deadline) return false;
    await sleep(25);
  }
  return true;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
