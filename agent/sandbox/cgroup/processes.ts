/** Processes of a group and its descendants, in one tree of either cgroup version. */
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readProc } from '../../lib/proc.ts';

/** A killed process leaves its group with a delay. */
const EMPTY_TRIES = 100;
const EMPTY_PAUSE_MS = 50;

/** Kills until no process is left, for 5 s at most. */
export async function killTree(folder: string): Promise<void> {
  for (let tries = 0; tries < EMPTY_TRIES; tries += 1) {
    const pids = (await Promise.all((await groupsBelow(folder)).map((group) => processesOf(group)))).flat();
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await delay(EMPTY_PAUSE_MS);
  }
}

/** Removes the groups that are empty. */
export async function removeTree(folder: string): Promise<void> {
  for (const group of await groupsBelow(folder)) {
    // Busy or gone. A group that stays does no harm: its limits are set anew before the next build.
    await rmdir(group).catch(() => undefined);
  }
}

/** Processes that the pids controller counts in `folder` and below. */
export async function processCount(folder: string): Promise<number> {
  return Number(((await readProc(join(folder, 'pids.current'))) ?? '').trim());
}

/** Whether a process is in `group` itself. */
export async function hasProcess(group: string, pid: number): Promise<boolean> {
  return (await processesOf(group)).includes(pid);
}

/**
 * How often the limit of `folder` refused a new process. Before Linux 6.11, and always under cgroup v1, the count is
 * kept in the forking process's group; since then (v2) it is kept in the group that has the limit, and its ancestors.
 */
export async function forkRefusals(folder: string): Promise<number> {
  const counts = await Promise.all(
    (await groupsBelow(folder)).map(async (group) => {
      const text = (await readProc(join(group, 'pids.events'))) ?? '';
      return Number(/^max (\d+)$/m.exec(text)?.[1] ?? 0);
    }),
  );
  return Math.max(0, ...counts);
}

/** Groups at and below `folder`, deepest first. They may come and go meanwhile. */
async function groupsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []); // it was removed meanwhile
  const folders = entries.filter((entry) => entry.isDirectory());
  const below = await Promise.all(folders.map(({ name }) => groupsBelow(join(folder, name))));
  return [...below.flat(), folder];
}

/** Processes of the group itself; none if it is gone. */
export async function processesOf(group: string): Promise<number[]> {
  return ((await readProc(join(group, 'cgroup.procs'))) ?? '').split('\n').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended by itself
  }
}
