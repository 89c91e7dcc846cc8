/** Control groups of a slot under cgroup v1 (kernel: admin-guide/cgroup-v1): one tree per controller. */
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { heldMemory, oomKills, peakMemory } from '../../lib/cgroup.ts';
import type { BuildCgroup } from './cgroup.ts';
import { writeIfThere } from './group-file.ts';
import { watchKills } from '../../lib/kernel-log.ts';
import { forkRefusals, hasProcess, killTree, processCount, removeTree } from './processes.ts';
import { CPU_PERIOD_US, cpuQuotaUs, ENGINE_CPU_SHARES, engineMemoryBytes, memoryBytes } from './shares.ts';

const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids', 'blkio'] as const;
/** Trees by which systemd tracks a service's processes: in its own group, the engine survives the agent's service. */
const TRACKING = ['systemd', 'unified'] as const;
type Tree = (typeof CONTROLLERS)[number] | (typeof TRACKING)[number];

export function makeV1(name: string, root: string): BuildCgroup {
  const group = (tree: Tree, child = ''): string => join(root, tree, name, child);
  const tracking = TRACKING.filter((tree) => existsSync(join(root, tree)));
  const parent = `/${name}/run`;
  const pidsMax = join(group('pids', 'run'), 'pids.max');
  let kills: ReturnType<typeof watchKills> | null = null;
  let engineKillsBefore = 0;

  /** Every controller of the host has its own tree, and runc creates its groups in each. */
  const trees = async (): Promise<string[]> =>
    (await readdir(root)).map((controller) => join(root, controller, name)).filter((path) => existsSync(path));
  const kill = async (): Promise<void> => {
    if (existsSync(pidsMax)) await writeFile(pidsMax, '0');
    await killTree(group('pids', 'run'));
  };
  const engineKills = async (): Promise<number> => (await oomKills(group('memory', 'engine'))) ?? 0;

  return {
    parent,
    async prepare(limits) {
      for (const tree of [...CONTROLLERS, ...tracking]) {
        for (const child of ['run', 'engine']) await mkdir(group(tree, child), { recursive: true });
      }
      await writeFile(join(group('cpu'), 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
      await writeFile(join(group('cpu'), 'cpu.cfs_quota_us'), String(cpuQuotaUs(limits)));
      await writeFile(join(group('cpu', 'engine'), 'cpu.shares'), String(ENGINE_CPU_SHARES));
      await limitMemory(group('memory', 'run'), memoryBytes(limits));
      await limitMemory(group('memory', 'engine'), engineMemoryBytes(limits));
      // Do not count what an earlier build left in the page cache.
      await writeIfThere(join(group('memory', 'run'), 'memory.force_empty'), '0');
      await writeFile(join(group('memory', 'run'), 'memory.max_usage_in_bytes'), '0');
      await writeFile(pidsMax, String(limits.pids));
      kills?.close();
      kills = watchKills(parent);
      engineKillsBefore = await engineKills();
    },
    addEngine(pid) {
      for (const tree of [...CONTROLLERS, ...tracking]) {
        writeFileSync(join(group(tree, 'engine'), 'cgroup.procs'), String(pid));
      }
    },
    hasEngine: (pid) => hasProcess(group('memory', 'engine'), pid),
    killAll: kill,
    read: async () => ({
      processes: await processCount(group('pids', 'run')),
      refusedForks: await forkRefusals(group('pids', 'run')),
      ...(kills?.count() ?? { oomKills: 0, hostOomKills: 0 }),
      engineOomKills: (await engineKills()) - engineKillsBefore,
      engineBytes: (await heldMemory(group('memory', 'engine'))) ?? 0,
    }),
    peakMemory: () => peakMemory(group('memory', 'run')),
    async remove() {
      kills?.close();
      kills = null;
      await kill();
      await killTree(group('pids', 'engine'));
      for (const tree of await trees()) await removeTree(tree);
    },
  };
}

/** Memory plus swap gets the same limit, or a build could use twice as much. It must never be below memory alone. */
async function limitMemory(folder: string, bytes: number): Promise<void> {
  const withSwap = join(folder, 'memory.memsw.limit_in_bytes');
  await writeIfThere(withSwap, '-1');
  await writeFile(join(folder, 'memory.limit_in_bytes'), String(bytes));
  await writeIfThere(withSwap, String(bytes));
}
