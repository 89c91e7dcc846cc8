/** A slot's engine with its environment: namespace, control groups and disk. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildLimits } from '../../../protocol/job.ts';
import type { Clock, StepLog } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import { type Exec, run } from '../../lib/exec.ts';
import type { InTurn } from '../../lib/serialize.ts';
import { together } from '../../lib/together.ts';
import { type BuildCgroup, makeBuildCgroup } from '../cgroup/cgroup.ts';
import type { BuildPriority } from '../cgroup/priority.ts';
import { engineMemoryBytes } from '../cgroup/shares.ts';
import { type EngineVersion, makeSandboxDaemon } from './daemon.ts';
import { makeSlotDisk, type SlotDisk } from './disk.ts';
import { makeSandboxNetwork, type SandboxNetwork } from '../network/network.ts';

/** From this share of its memory limit on, an engine is replaced before the next build. */
const BLOATED = 0.5;

export interface SlotEngineOptions {
  /** The agent's scope plus the slot's letter. Part of the name of everything that the slot creates on the host. */
  readonly name: string;
  /** Its control group, below the group of all slots. */
  readonly group: string;
  readonly priority: BuildPriority;
  readonly stateDirectory: string;
  readonly runDirectory: string;
  readonly openEngine: (socketPath: string) => Engine;
  readonly diskMiB: number | null;
  /** Number of slots that share the host's disk. */
  readonly slots: number;
  readonly exec: Exec;
  readonly clock: Clock;
  /** Runs `work` while no other slot runs its own: two at once would pick the same free addresses. */
  readonly alone: InTurn;
}

/** What the engine is started for. */
export interface EngineUse {
  readonly limits: BuildLimits;
  readonly log: StepLog;
}

export interface SlotEngine {
  readonly engine: Engine;
  readonly cgroup: BuildCgroup;
  readonly disk: SlotDisk;
  readonly network: SandboxNetwork;
  /** @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL */
  ensureRunning(use: EngineUse): Promise<void>;
  isRunning(): Promise<boolean>;
  version(): Promise<EngineVersion>;
  /** Stops the engine and removes namespace, rules, control groups and mounts. The disk's content stays. */
  tearDown(): Promise<void>;
}

/** Calls must not overlap. */
export function makeSlotEngine(options: SlotEngineOptions): SlotEngine {
  const { name, stateDirectory, runDirectory, exec: by } = options;
  const disk = makeSlotDisk({ stateDirectory, sizeMiB: options.diskMiB, slots: options.slots, exec: by });
  const dataDirectory = join(disk.folder, 'data');
  const daemon = makeSandboxDaemon({ stateDirectory, dataDirectory, runDirectory }, options.openEngine, options.clock);
  const network = makeSandboxNetwork(name, by);
  const groups = makeBuildCgroup(options.group);
  const cgroup: BuildCgroup = { ...groups, killAll: () => options.priority.hurry(() => groups.killAll()) };

  const tearDown = async (): Promise<void> => {
    await daemon.stop();
    await cgroup.remove();
    await unmountBelow([disk.folder, runDirectory], by);
    await disk.release();
    await network.remove();
  };

  const prepare = async (limits: BuildLimits): Promise<void> => {
    await cgroup.prepare(limits);
    await options.priority.apply();
  };

  const start = async (limits: BuildLimits, log: StepLog): Promise<void> => {
    // All of these come before the engine, which starts inside them.
    const [{ mtu, nameServers }] = await together(
      options.alone(() => network.connect()),
      disk.ensure((text) => log.line(text)),
      prepare(limits),
    );
    const cacheBytes = Math.floor((await sizeOf(disk)) / 2);
    const startEngine = (): Promise<void> =>
      daemon.start({
        namespacePath: network.namespacePath,
        cgroupParent: cgroup.parent,
        joinGroup: (pid) => cgroup.addEngine(pid),
        scope: name,
        mtu,
        nameServers,
        cacheBytes,
      });
    // The rules are set while the engine starts, since an engine opens no connections by itself. No build begins before
    // both are done, and a new namespace has no route out before its rules.
    await together(
      options.priority.hurry(startEngine),
      options.alone(() => network.ensure()),
    );
  };

  /** An engine holds all output of a build in memory until it drops the build, and even then frees only part of it. */
  const isBloated = async (limits: BuildLimits): Promise<boolean> =>
    (await cgroup.read()).engineBytes > engineMemoryBytes(limits) * BLOATED;

  const ensureRunning = async ({ limits, log }: EngineUse): Promise<void> => {
    const pid = await daemon.runningPid();
    if (pid === null) {
      await cgroup.remove(); // processes that a killed engine left running
      return start(limits, log);
    }
    if ((await daemon.answers()) && (await cgroup.hasEngine(pid)) && !(await isBloated(limits))) {
      await together(
        options.alone(() => network.ensure()),
        prepare(limits),
      );
      return;
    }
    await tearDown(); // it hangs, its namespace is half gone, it is outside its limits, or its memory is nearly full
    return start(limits, log);
  };

  return {
    engine: daemon.engine,
    cgroup,
    disk,
    network,
    ensureRunning,
    isRunning: async () => (await daemon.runningPid()) !== null,
    version: () => daemon.version(),
    tearDown,
  };
}

async function sizeOf(disk: SlotDisk): Promise<number> {
  const { usedBytes, freeBytes } = await disk.use();
  return usedBytes + freeBytes;
}

/** A killed engine leaves its mounts behind. Deleting files below them would delete what is mounted. */
async function unmountBelow(folders: readonly string[], by: Exec): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '')
    .filter((path) => folders.some((folder) => path.startsWith(join(folder, '/'))));
  for (const path of mounts.toReversed()) await run('umount', ['--lazy', '--', path], { timeoutMs: 10_000 }, by);
}
