/** Control groups of a slot under cgroup v2 (kernel: admin-guide/cgroup-v2): one tree, controllers handed down by name. */
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oomKills, peakMemory } from '../../lib/cgroup.ts';
import type { BuildCgroup } from './cgroup.ts';
import { forkRefusals, killTree, processCount, removeTree } from './processes.ts';
import {
  CPU_PERIOD_US,
  CPU_WEIGHT,
  cpuQuotaUs,
  ENGINE_CPU_WEIGHT,
  engineMemoryBytes,
  IO_WEIGHT,
  memoryBytes,
} from './shares.ts';

const CONTROLLERS = ['memory', 'cpu', 'pids', 'io'] as const;

export function makeV2(name: string, root: string): BuildCgroup {
  const slot = join(root, name);
  const [engine, run] = [join(slot, 'engine'), join(slot, 'run')];
  let engineKillsBefore = 0;

  const kill = async (): Promise<void> => {
    await writeIfThere(join(run, 'pids.max'), '0');
    await killTree(run);
  };
  const engineKills = async (): Promise<number> => (await oomKills(engine)) ?? 0;

  return {
    parent: `/${name}/run`,
    async prepare(limits) {
      // A new group has new counters (memory.peak cannot be reset before Linux 6.12).
      await removeTree(run);
      await mkdir(engine, { recursive: true });
      await mkdir(run, { recursive: true });
      for (const folder of [root, slot]) await handDown(folder);
      await writeFile(join(slot, 'cpu.weight'), String(CPU_WEIGHT));
      await writeFile(join(slot, 'cpu.max'), `${cpuQuotaUs(limits)} ${CPU_PERIOD_US}`);
      await writeFile(join(engine, 'cpu.weight'), String(ENGINE_CPU_WEIGHT));
      await writeIfThere(join(slot, 'io.weight'), `default ${IO_WEIGHT}`);
      await writeIfThere(join(slot, 'io.bfq.weight'), String(IO_WEIGHT));
      await limitMemory(run, memoryBytes(limits));
      await limitMemory(engine, engineMemoryBytes(limits));
      await writeFile(join(run, 'pids.max'), String(limits.pids));
      engineKillsBefore = await engineKills();
    },
    addEngine: (pid) => writeFileSync(join(engine, 'cgroup.procs'), String(pid)),
    killAll: kill,
    read: async () => ({
      processes: await processCount(run),
      refusedForks: await forkRefusals(run),
      oomKills: (await oomKills(run)) ?? 0,
      engineOomKills: (await engineKills()) - engineKillsBefore,
    }),
    peakMemory: () => peakMemory(run),
    async remove() {
      await kill();
      await killTree(engine);
      await removeTree(slot);
    },
  };
}

/** Lets the groups below have the controllers that the kernel offers here. One at a time: an absent one fails the whole line. */
async function handDown(folder: string): Promise<void> {
  const offered = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  for (const controller of CONTROLLERS) {
    if (offered.includes(controller)) await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`);
  }
}

async function limitMemory(folder: string, bytes: number): Promise<void> {
  await writeFile(join(folder, 'memory.max'), String(bytes));
  await writeIfThere(join(folder, 'memory.swap.max'), '0');
}

/** Kernels without swap accounting or without that scheduler do not have the file. */
async function writeIfThere(path: string, text: string): Promise<void> {
  if (existsSync(path)) await writeFile(path, text);
}
