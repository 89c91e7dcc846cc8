/** Control groups of a slot under cgroup v2 (kernel: admin-guide/cgroup-v2): one tree, controllers per group. */
import { writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { heldMemory, oomKills, ownOoms, peakMemory } from '../../lib/cgroup.ts';
import type { BuildCgroup } from './cgroup.ts';
import { writeIfThere } from './group-file.ts';
import { forkRefusals, hasProcess, killTree, processCount, processesOf, removeTree } from './processes.ts';
import { CPU_PERIOD_US, cpuQuotaUs, ENGINE_CPU_WEIGHT, engineMemoryBytes, memoryBytes } from './shares.ts';

const CONTROLLERS = ['memory', 'cpu', 'pids', 'io'] as const;
/** Group for the process that keeps a delegated group alive: a group that enables controllers must itself be empty. */
const KEEPER = 'keeper';

export function makeV2(name: string, root: string): BuildCgroup {
  const slot = join(root, name);
  const [engine, run] = [join(slot, 'engine'), join(slot, 'run')];
  /** Counters at the start of the build: a group that still has processes cannot be replaced by a new one. */
  let before: RunCounters & { readonly engineKills: number } = { kills: 0, ooms: 0, refusedForks: 0, engineKills: 0 };

  const kill = async (): Promise<void> => {
    await writeIfThere(join(run, 'pids.max'), '0');
    await killTree(run);
  };
  const engineKills = async (): Promise<number> => (await oomKills(engine)) ?? 0;
  const counters = async (): Promise<RunCounters> => ({
    kills: (await oomKills(run)) ?? 0,
    ooms: (await ownOoms(run)) ?? 0,
    refusedForks: await forkRefusals(run),
  });

  return {
    parent: `/${name}/run`,
    async prepare(limits) {
      // A new group has new counters (memory.peak cannot be reset before Linux 6.12).
      await removeTree(run);
      await mkdir(engine, { recursive: true });
      await mkdir(run, { recursive: true });
      for (const folder of foldersTo(slot, root)) {
        if (folder !== root) await moveKeeper(folder);
        await handDown(folder);
      }
      await writeFile(join(slot, 'cpu.max'), `${cpuQuotaUs(limits)} ${CPU_PERIOD_US}`);
      await writeFile(join(engine, 'cpu.weight'), String(ENGINE_CPU_WEIGHT));
      await limitMemory(run, memoryBytes(limits));
      await limitMemory(engine, engineMemoryBytes(limits));
      await writeFile(join(run, 'pids.max'), String(limits.pids));
      before = { ...(await counters()), engineKills: await engineKills() };
    },
    addEngine: (pid) => writeFileSync(join(engine, 'cgroup.procs'), String(pid)),
    hasEngine: (pid) => hasProcess(engine, pid),
    killAll: kill,
    async read() {
      const { kills, ooms, refusedForks } = await counters();
      const killed = kills - before.kills;
      return {
        processes: await processCount(run),
        refusedForks: Math.max(0, refusedForks - before.refusedForks),
        oomKills: killed,
        hostOomKills: ooms === before.ooms ? killed : 0,
        engineOomKills: (await engineKills()) - before.engineKills,
        engineBytes: (await heldMemory(engine)) ?? 0,
      };
    },
    peakMemory: () => peakMemory(run),
    async remove() {
      await kill();
      await killTree(engine);
      await removeTree(slot);
    },
  };
}

/** Counters of RUN's group since its creation. */
interface RunCounters {
  readonly kills: number;
  readonly ooms: number;
  readonly refusedForks: number;
}

/** `root` and each group on the path to `folder`, inclusive. */
function foldersTo(folder: string, root: string): string[] {
  const parts = relative(root, folder).split('/');
  return [root, ...parts.map((_, at) => join(root, ...parts.slice(0, at + 1)))];
}

/**
 * Enables the available controllers for child groups, one write each, since an unavailable one fails the whole write.
 * Skips those already enabled: above a delegated group, only systemd may write.
 */
async function handDown(folder: string): Promise<void> {
  const control = join(folder, 'cgroup.subtree_control');
  const [offered, given] = await Promise.all([wordsOf(join(folder, 'cgroup.controllers')), wordsOf(control)]);
  for (const controller of CONTROLLERS) {
    if (offered.includes(controller) && !given.includes(controller)) await writeFile(control, `+${controller}`);
  }
}

const wordsOf = async (path: string): Promise<string[]> => (await readFile(path, 'utf8')).trim().split(' ');

/** Moves the single process of orkestr-build.service out of the delegated group. */
async function moveKeeper(group: string): Promise<void> {
  for (const pid of await processesOf(group)) {
    await mkdir(join(group, KEEPER), { recursive: true });
    await writeFile(join(group, KEEPER, 'cgroup.procs'), String(pid));
  }
}

async function limitMemory(folder: string, bytes: number): Promise<void> {
  await writeFile(join(folder, 'memory.max'), String(bytes));
  await writeIfThere(join(folder, 'memory.swap.max'), '0');
}
