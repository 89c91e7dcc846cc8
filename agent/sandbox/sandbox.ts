/** The build-only engine as a whole: started on demand, one build at a time, stopped when idle, adopted after a crash. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildLimits } from '../../protocol/job.ts';
import type { Engine } from '../lib/engine.ts';
import { type Exec, exec, run } from '../lib/exec.ts';
import { type BuildCgroup, makeBuildCgroup } from './cgroup.ts';
import { type DaemonFiles, makeSandboxDaemon } from './daemon.ts';
import { makeSandboxNetwork } from './network.ts';

const GIB = 1_073_741_824;
const DEFAULT_IDLE_MS = 10 * 60_000;
const MAX_WAITING = 32;
/** Rules and namespace that were looked at this long ago, ms, are not looked at again: a build that was waited for begins. */
const FRESH_MS = 10_000;

export interface SandboxOptions extends DaemonFiles {
  readonly scope: string;
  /** Opens an engine by its socket: docker/engine.ts `makeEngine`. */
  readonly openEngine: (socketPath: string) => Engine;
  /** Stop the engine after this many ms without a build. */
  readonly idleMs?: number;
  /** Bytes of build cache that are kept between builds. */
  readonly cacheBytes?: number;
  readonly exec?: Exec;
}

export interface SandboxLease {
  readonly engine: Engine;
  readonly cgroup: BuildCgroup;
}

export interface Sandbox {
  /**
   * Do `work` in the sandbox under `limits`; others wait their turn.
   * @throws OrkestrError ORK_SANDBOX, ORK_QUEUE_FULL, ORK_CANCELLED
   */
  use<T>(limits: BuildLimits, signal: AbortSignal, work: (lease: SandboxLease) => Promise<T>): Promise<T>;
  /** Starts the engine, when nobody has yet, for a use that will come. What goes wrong is told by that use. */
  warm(): void;
  /** Whether its engine runs now. */
  isRunning(): Promise<boolean>;
  /** Stop the engine and take namespace, rules and control group away; the cache stays for the next time. */
  stop(): Promise<void>;
  /** Stop, and delete the cache too. */
  purge(): Promise<void>;
}

export function makeSandbox(options: SandboxOptions): Sandbox {
  const { scope, idleMs = DEFAULT_IDLE_MS, cacheBytes = 10 * GIB, exec: by = exec } = options;
  const daemon = makeSandboxDaemon(options, options.openEngine);
  const network = makeSandboxNetwork(scope, by);
  const cgroup = makeBuildCgroup(`orkestr-build-${scope}`);
  let waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();
  let idleTimer: NodeJS.Timeout | undefined;
  let ensuredAt = -Infinity;

  /** One after the other: starting, building and stopping never overlap. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined); // its own caller hears of it
    return result;
  };

  const tearDown = async (): Promise<void> => {
    clearTimeout(idleTimer);
    ensuredAt = -Infinity;
    await daemon.stop();
    await cgroup.remove();
    await unmountBelow(options.stateDirectory, options.runDirectory, by);
    await network.remove();
  };

  const ensureRunning = async (): Promise<void> => {
    if ((await daemon.runningPid()) !== null) {
      if (await daemon.answers()) {
        if (performance.now() - ensuredAt < FRESH_MS) return;
        await network.ensure();
        ensuredAt = performance.now();
        return;
      }
      await tearDown(); // it hangs, or its namespace is half gone
    } else {
      await cgroup.remove(); // what a killed engine left running
    }
    const { mtu, nameServers } = await network.ensure();
    const { namespacePath } = network;
    await daemon.start({ namespacePath, cgroupParent: cgroup.parent, scope, mtu, nameServers, cacheBytes });
    ensuredAt = performance.now();
  };

  const stopWhenIdle = (): void => {
    clearTimeout(idleTimer);
    // A failed stop is tried again by the next one; the next build finds whatever is left.
    idleTimer = setTimeout(() => void inTurn(tearDown).catch(() => undefined), idleMs);
    idleTimer.unref();
  };

  return {
    async use(limits, signal, work) {
      if (waiting >= MAX_WAITING) {
        throw new OrkestrError('ORK_QUEUE_FULL', `${waiting} builds are waiting for the sandbox already.`);
      }
      waiting += 1;
      try {
        return await inTurn(async () => {
          if (signal.aborted) throw new OrkestrError('ORK_CANCELLED', 'Cancelled while waiting for the sandbox.');
          clearTimeout(idleTimer);
          try {
            await ensureRunning();
            await cgroup.prepare(limits);
            return await work({ engine: daemon.engine, cgroup });
          } finally {
            stopWhenIdle();
          }
        });
      } finally {
        waiting -= 1;
      }
    },
    warm() {
      if (waiting > 0) return; // somebody starts it already
      const start = inTurn(async () => {
        clearTimeout(idleTimer);
        try {
          await ensureRunning();
        } finally {
          stopWhenIdle();
        }
      });
      start.catch(() => undefined); // the use tries again, and tells
    },
    isRunning: async () => (await daemon.runningPid()) !== null,
    stop: () => inTurn(tearDown),
    purge: () =>
      inTurn(async () => {
        await tearDown();
        await rm(options.stateDirectory, { recursive: true, force: true });
        await rm(options.runDirectory, { recursive: true, force: true });
      }),
  };
}

/** An engine that was killed leaves its mounts; deleting files below them would delete what is mounted. */
async function unmountBelow(stateDirectory: string, runDirectory: string, by: Exec): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '')
    .filter((path) => [stateDirectory, runDirectory].some((folder) => path.startsWith(join(folder, '/'))));
  for (const path of mounts.toReversed()) await run('umount', ['--lazy', '--', path], { timeoutMs: 10_000 }, by);
}
