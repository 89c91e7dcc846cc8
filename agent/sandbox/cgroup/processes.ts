/** The processes of a group and of all groups below it, in one tree of either kernel interface. */
import { readFile, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A killed process leaves its group a moment later. */
const EMPTY_TRIES = 100;
const EMPTY_PAUSE_MS = 50;

/** Kills until none is left, or for 5 s. */
export async function killTree(folder: string): Promise<void> {
  for (let tries = 0; tries < EMPTY_TRIES; tries += 1) {
    const pids = (await Promise.all((await groupsBelow(folder)).map((group) => processesOf(group)))).flat();
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await delay(EMPTY_PAUSE_MS);
  }
}

/** Takes away the groups that are empty. */
export async function removeTree(folder: string): Promise<void> {
  for (const group of await groupsBelow(folder)) {
    // Busy or gone: a group that stays harms nobody, its limits are set anew before the next build.
    await rmdir(group).catch(() => undefined);
  }
}

/** Processes that the pids controller counts in `folder` and below. */
export async function processCount(folder: string): Promise<number> {
  return Number((await readIfThere(join(folder, 'pids.current'))).trim());
}

/** Whether a process is in `group` itself. */
export async function hasProcess(group: string, pid: number): Promise<boolean> {
  return (await processesOf(group)).includes(pid);
}

/**
 * How often the limit of `folder` refused a new process. Before Linux 6.11, and always under cgroup v1, it is counted in
 * the group of the process that wanted to fork; since then (v2) in the one that has the limit, and above it.
 */
export async function forkRefusals(folder: string): Promise<number> {
  const counts = await Promise.all(
    (await groupsBelow(folder)).map(async (group) => {
      const text = await readIfThere(join(group, 'pids.events'));
      return Number(/^max (\d+)$/m.exec(text)?.[1] ?? 0);
    }),
  );
  return Math.max(0, ...counts);
}

/** Groups at and below `folder`, the deepest first. They come and go while one looks. */
async function groupsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []); // it went away meanwhile
  const folders = entries.filter((entry) => entry.isDirectory());
  const below = await Promise.all(folders.map(({ name }) => groupsBelow(join(folder, name))));
  return [...below.flat(), folder];
}

/** Processes of the group itself; none when it is gone. */
export async function processesOf(group: string): Promise<number[]> {
  return (await readIfThere(join(group, 'cgroup.procs'))).split('\n').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended by itself
  }
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => ''); // the group went away meanwhile
}
