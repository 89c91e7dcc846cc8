/**
 * The control group above all build containers: the engine-wide parent binds BuildKit, a build's own `-m` does not
 * (measured). Memory with swap gets the same limit, or a build would have it twice.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BuildLimits } from '../../protocol/job.ts';
import { oomKills, peakMemory } from '../lib/cgroup.ts';
import { killsIn, lastRecord } from './kernel-log.ts';

const ROOT = '/sys/fs/cgroup';
const MIB = 1_048_576;
const CPU_PERIOD_US = 100_000;
const V1_CONTROLLERS = ['memory', 'cpu', 'pids'] as const;
/** A killed process leaves its group a moment later. */
const EMPTY_TRIES = 100;
const EMPTY_PAUSE_MS = 50;

export interface BuildCgroup {
  /** What the engine gets as cgroup parent. */
  readonly parent: string;
  /** Makes the group when absent, begins its counters anew and sets the limits of the next build. */
  prepare(limits: BuildLimits): Promise<void>;
  /** Kills every process of the build containers. */
  killAll(): Promise<void>;
  /** Processes that the kernel killed for want of memory since `prepare`. */
  oomKills(): Promise<number>;
  /** Bytes since `prepare`; null where the kernel does not tell. */
  peakMemory(): Promise<number | null>;
  /** Kills what is in it and takes the group away. */
  remove(): Promise<void>;
}

/** @param name of the group, "orkestr-build-…" */
export function makeBuildCgroup(name: string): BuildCgroup {
  return existsSync(join(ROOT, 'cgroup.controllers')) ? makeV2(name) : makeV1(name);
}

function makeV1(name: string): BuildCgroup {
  const folder = (controller: string): string => join(ROOT, controller, name);
  const memory = folder('memory');
  const parent = `/${name}`;
  let since = -1;

  /** Every controller of the host has a tree of its own, and runc makes the group in each. */
  const trees = async (): Promise<string[]> =>
    (await readdir(ROOT)).map((controller) => folder(controller)).filter((path) => existsSync(path));

  return {
    parent,
    async prepare(limits) {
      for (const controller of V1_CONTROLLERS) await mkdir(folder(controller), { recursive: true });
      const bytes = String(limits.memoryMiB * MIB);
      const withSwap = join(memory, 'memory.memsw.limit_in_bytes'); // absent when the kernel does not count swap
      if (existsSync(withSwap)) await writeFile(withSwap, '-1');
      await writeFile(join(memory, 'memory.limit_in_bytes'), bytes);
      if (existsSync(withSwap)) await writeFile(withSwap, bytes);
      await writeFile(join(memory, 'memory.max_usage_in_bytes'), '0');
      await writeFile(join(folder('cpu'), 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
      await writeFile(join(folder('cpu'), 'cpu.cfs_quota_us'), String(Math.round(limits.cpus * CPU_PERIOD_US)));
      await writeFile(join(folder('pids'), 'pids.max'), String(limits.pids));
      since = lastRecord();
    },
    killAll: async () => killTree(folder('pids')),
    oomKills: async () => killsIn(parent, since),
    peakMemory: () => peakMemory(memory),
    async remove() {
      await killTree(folder('pids'));
      for (const tree of await trees()) await removeTree(tree);
    },
  };
}

function makeV2(name: string): BuildCgroup {
  const folder = join(ROOT, name);
  return {
    parent: `/${name}`,
    async prepare(limits) {
      // A new group has new counters (memory.peak cannot be reset before Linux 6.12).
      await removeTree(folder);
      await writeFile(join(ROOT, 'cgroup.subtree_control'), '+memory +cpu +pids');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'memory.max'), String(limits.memoryMiB * MIB));
      const swap = join(folder, 'memory.swap.max'); // absent when the kernel does not count swap
      if (existsSync(swap)) await writeFile(swap, '0');
      await writeFile(join(folder, 'cpu.max'), `${Math.round(limits.cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
      await writeFile(join(folder, 'pids.max'), String(limits.pids));
    },
    killAll: async () => killTree(folder),
    oomKills: async () => (await oomKills(folder)) ?? 0,
    peakMemory: () => peakMemory(folder),
    async remove() {
      await killTree(folder);
      await removeTree(folder);
    },
  };
}

/** Groups at and below `folder`, the deepest first. */
async function groupsBelow(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  return [...folders, folder].sort((a, b) => b.length - a.length);
}

async function killTree(folder: string): Promise<void> {
  for (let tries = 0; tries < EMPTY_TRIES; tries += 1) {
    const pids = (await Promise.all((await groupsBelow(folder)).map((group) => processesOf(group)))).flat();
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    await delay(EMPTY_PAUSE_MS);
  }
}

async function processesOf(group: string): Promise<number[]> {
  const text = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => ''); // the group went away meanwhile
  return text.split('\n').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended by itself
  }
}

async function removeTree(folder: string): Promise<void> {
  for (const group of await groupsBelow(folder)) {
    // Busy or gone: a group that stays harms nobody, its limits are set anew before the next build.
    await rmdir(group).catch(() => undefined);
  }
}
