/** One slot: a build-only engine with its own namespace, control groups and disk. Started on demand, stopped when idle. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode } from '../../protocol/error-catalogue.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { StepLog } from '../deployment/ports.ts';
import type { Engine } from '../lib/engine.ts';
import { type Exec, run } from '../lib/exec.ts';
import { type InTurn, serialize } from '../lib/serialize.ts';
import { together } from '../lib/together.ts';
import { openUnfinishedBuild } from './unfinished-build.ts';
import { dropCopiesSince, dropSince, untilUnused } from './build-cache.ts';
import { type BuildCgroup, makeBuildCgroup } from './cgroup/cgroup.ts';
import type { BuildPriority } from './cgroup/priority.ts';
import { engineMemoryBytes } from './cgroup/shares.ts';
import { type EngineVersion, makeSandboxDaemon } from './daemon.ts';
import { makeSlotDisk, type SlotDisk } from './disk.ts';
import { makeSandboxNetwork, type SandboxNetwork } from './network.ts';
import { evictForBuild } from './cache-eviction.ts';

/** Endings of a build after which what it made goes at once: it would push out the cache of others. */
const OVERSIZED: ReadonlySet<ErrorCode> = new Set(['ORK_BUILD_DISK', 'ORK_BUILD_INODES', 'ORK_IMAGE_TOO_LARGE']);

/** Share of its memory with which an engine is not given another build. */
const BLOATED = 0.5;

interface SlotOptions {
  /** Scope of the agent with the letter of the slot: names everything it makes on the host. */
  readonly name: string;
  /** Its control group, below that of all slots. */
  readonly group: string;
  readonly priority: BuildPriority;
  readonly stateDirectory: string;
  readonly runDirectory: string;
  readonly openEngine: (socketPath: string) => Engine;
  readonly idleMs: number;
  readonly diskMiB: number | null;
  /** How many share the host's disk. */
  readonly slots: number;
  readonly exec: Exec;
  /** Does `work` while no other slot does: two at once would take the same free addresses. */
  readonly alone: InTurn;
}

/** What a build gets for its time. */
export interface SandboxLease {
  readonly engine: Engine;
  readonly version: EngineVersion;
  readonly cgroup: BuildCgroup;
  readonly disk: SlotDisk;
  readonly network: SandboxNetwork;
  /** Has `chore`, which never rejects, done once the build is over and before another one has the slot: nobody waits for it. */
  afterwards(chore: () => Promise<void>): void;
}

export interface Slot {
  /** @throws OrkestrError ORK_SANDBOX, ORK_DISK_FULL, ORK_CANCELLED */
  use<T>(use: SlotUse, work: (lease: SandboxLease) => Promise<T>): Promise<T>;
  /** Starts the engine for a use that will come. What goes wrong is told by that use. */
  warm(use: Omit<SlotUse, 'signal'>): void;
  /** Cleans up behind a build. Never rejects: what could not be done is done before the next one. */
  tidy(): Promise<void>;
  isRunning(): Promise<boolean>;
  /** Stop the engine and take namespace, rules, control groups and mounts away; the cache stays for the next time. */
  stop(): Promise<void>;
  /** Stop, and delete the cache too. */
  purge(): Promise<void>;
}

export interface SlotUse {
  readonly limits: BuildLimits;
  readonly log: StepLog;
  readonly signal: AbortSignal;
}

export function makeSlot(options: SlotOptions): Slot {
  const { name, stateDirectory, runDirectory, exec: by } = options;
  const disk = makeSlotDisk({ stateDirectory, sizeMiB: options.diskMiB, slots: options.slots, exec: by });
  const dataDirectory = join(disk.folder, 'data');
  const daemon = makeSandboxDaemon({ stateDirectory, dataDirectory, runDirectory }, options.openEngine);
  const network = makeSandboxNetwork(name, by);
  const groups = makeBuildCgroup(options.group);
  const cgroup: BuildCgroup = { ...groups, killAll: () => options.priority.hurry(() => groups.killAll()) };
  /** Starting, building and stopping never overlap. */
  const inTurn = serialize();
  const unfinished = openUnfinishedBuild(stateDirectory);
  const chores: (() => Promise<void>)[] = [];
  let tidying = new AbortController();
  let idleTimer: NodeJS.Timeout | undefined;

  const tearDown = async (): Promise<void> => {
    clearTimeout(idleTimer);
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
    // All before the engine, which is born into them.
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
    // The rules beside it, which asks nobody for anything by itself. Nothing is built before both are there, and a new
    // namespace has no way out before its rules.
    await together(
      options.priority.hurry(startEngine),
      options.alone(() => network.ensure()),
    );
  };

  /** An engine keeps all that a build has said until it is rid of that build, and does not give all of it back. */
  const isBloated = async (limits: BuildLimits): Promise<boolean> =>
    (await cgroup.read()).engineBytes > engineMemoryBytes(limits) * BLOATED;

  const ensureRunning = async ({ limits, log }: Omit<SlotUse, 'signal'>): Promise<void> => {
    const pid = await daemon.runningPid();
    if (pid === null) {
      await cgroup.remove(); // what a killed engine left running
      return start(limits, log);
    }
    if ((await daemon.answers()) && (await cgroup.hasEngine(pid)) && !(await isBloated(limits))) {
      await together(
        options.alone(() => network.ensure()),
        prepare(limits),
      );
      return;
    }
    await tearDown(); // it hangs, its namespace is half gone, no limit holds it, or its memory is nearly full
    return start(limits, log);
  };

  /** Takes what a build that did not go through has left out of the cache. */
  const clearUnfinished = async (signal: AbortSignal): Promise<void> => {
    const left = unfinished.read();
    if (left === null) return;
    await untilUnused(daemon.engine, signal);
    await (left.oversized ? dropSince : dropCopiesSince)(daemon.engine, left.began);
    unfinished.clear();
  };

  const tidy = async (): Promise<void> => {
    tidying = new AbortController();
    for (const chore of chores.splice(0)) await chore();
    await clearUnfinished(tidying.signal);
    await disk.giveBack();
  };

  const stopWhenIdle = (): void => {
    clearTimeout(idleTimer);
    // A failed stop is tried again by the next one; the next build finds whatever is left.
    idleTimer = setTimeout(() => void inTurn(tearDown).catch(() => undefined), options.idleMs);
    idleTimer.unref();
  };

  const whileRunning = async <T>(use: Omit<SlotUse, 'signal'>, work: () => Promise<T>): Promise<T> => {
    clearTimeout(idleTimer);
    try {
      await ensureRunning(use);
      await daemon.version(); // known before a use that comes later
      return await work();
    } finally {
      stopWhenIdle();
    }
  };

  return {
    use: (use, work) =>
      inTurn(async () => {
        if (use.signal.aborted) throw new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
        const began = Date.now();
        return whileRunning(use, async () => {
          await clearUnfinished(use.signal); // of a build that nobody tidied up behind: its agent was killed
          await evictForBuild(daemon.engine, disk, use);
          unfinished.write({ began, oversized: false });
          try {
            const afterwards = (chore: () => Promise<void>): void => void chores.push(chore);
            const version = await daemon.version();
            const made = await work({ engine: daemon.engine, version, cgroup, disk, network, afterwards });
            unfinished.clear();
            return made;
          } catch (error) {
            const oversized = error instanceof OrkestrError && OVERSIZED.has(error.code);
            if (oversized) unfinished.write({ began, oversized }); // else it says so already
            throw error;
          }
        });
      }),
    warm(use) {
      // The use tries again what failed here, and tells.
      inTurn(() => whileRunning(use, async () => undefined)).catch(() => undefined);
    },
    // A failure means that the engine is gone, and its disk with it.
    tidy: () => inTurn(tidy).catch(() => undefined),
    isRunning: async () => (await daemon.runningPid()) !== null,
    stop() {
      tidying.abort(); // nobody waits for it any more
      return inTurn(tearDown);
    },
    purge() {
      tidying.abort();
      return inTurn(async () => {
        await tearDown();
        await rm(stateDirectory, { recursive: true, force: true });
        await rm(runDirectory, { recursive: true, force: true });
      });
    },
  };
}

async function sizeOf(disk: SlotDisk): Promise<number> {
  const { usedBytes, freeBytes } = await disk.use();
  return usedBytes + freeBytes;
}

/** An engine that was killed leaves its mounts; deleting files below them would delete what is mounted. */
async function unmountBelow(folders: readonly string[], by: Exec): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '')
    .filter((path) => folders.some((folder) => path.startsWith(join(folder, '/'))));
  for (const path of mounts.toReversed()) await run('umount', ['--lazy', '--', path], { timeoutMs: 10_000 }, by);
}
