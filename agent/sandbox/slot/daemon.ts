/** The sandbox's dockerd: one process in its own network namespace, found again after a crash of the agent. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Clock } from '../../deployment/ports.ts';
import type { Engine } from '../../lib/engine.ts';
import { SANDBOX_BRIDGE } from '../network/namespace.ts';

/** On a small, busy machine a start takes most of a minute. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const PING_TIMEOUT_MS = 3_000;
const POLL_MS = 20;
const LOG_LINES = 15;
/** BuildKit parses 32 bits. -1, documented as unlimited, is a limit of zero in the engine of Docker 20.10. */
const NO_CAP = 2 ** 31 - 1;
/**
 * proc_pid_oom_score_adj(5). Apps have 0, and RUN inherits this score: a host that runs out of memory should kill
 * builds, never an app or its edge proxy.
 */
const OOM_SCORE = 500;

interface DaemonFiles {
  /** Folder of its configuration and log. */
  readonly stateDirectory: string;
  /** Folder of its data, on the slot's disk, which is mounted before the daemon starts. */
  readonly dataDirectory: string;
  /** Folder of its socket and runtime files. Keep the path short: a unix socket path holds at most 107 bytes. */
  readonly runDirectory: string;
}

interface DaemonSettings {
  readonly namespacePath: string;
  readonly cgroupParent: string;
  /** Puts the new process into its control group before it starts others. */
  readonly joinGroup: (pid: number) => void;
  readonly scope: string;
  readonly mtu: number;
  readonly nameServers: readonly string[];
  /** Size of the build cache that the engine keeps, bytes. */
  readonly cacheBytes: number;
}

export interface EngineVersion {
  /** "20.10.24" */
  readonly version: string;
  /** In Go's notation: "amd64". */
  readonly architecture: string;
}

type DaemonClock = Pick<Clock, 'monotonic' | 'sleep'>;

interface SandboxDaemon {
  readonly engine: Engine;
  /** Of the running engine. Cached, since the engine runs its helper programs for each request, which takes 10 ms. */
  version(): Promise<EngineVersion>;
  /** Process id of our dockerd, by its pid file; null if it is not running. */
  runningPid(): Promise<number | null>;
  answers(): Promise<boolean>;
  /** @throws OrkestrError ORK_SANDBOX with the last lines of its log */
  start(settings: DaemonSettings): Promise<void>;
  /** Sends SIGTERM, then SIGKILL, and resolves once the process is gone. Does nothing if none is running. */
  stop(): Promise<void>;
}

/** A build engine by its files; starting and stopping throw ORK_SANDBOX. */
export function makeSandboxDaemon(
  files: DaemonFiles,
  openEngine: (socketPath: string) => Engine,
  clock: DaemonClock,
): SandboxDaemon {
  const configPath = join(files.stateDirectory, 'daemon.json');
  const logPath = join(files.stateDirectory, 'dockerd.log');
  const pidPath = join(files.runDirectory, 'dockerd.pid');
  const socketPath = join(files.runDirectory, 'docker.sock');
  const engine = openEngine(socketPath);
  let version: Promise<EngineVersion> | null = null;

  const containerd = join(files.runDirectory, 'exec', 'containerd');
  const containerdPid = (): Promise<number | null> =>
    ownPid(join(containerd, 'containerd.pid'), join(containerd, 'containerd.toml'));
  const runningPid = (): Promise<number | null> => ownPid(pidPath, `--config-file=${configPath}`);
  const answers = async (): Promise<boolean> =>
    engine
      .call('ping the sandbox', (docker) => docker.ping(), { timeoutMs: PING_TIMEOUT_MS })
      .then(
        () => true,
        () => false, // unusable, whatever the reason
      );

  /** A killed engine's containerd dies a moment later; until then, the next engine would adopt the dying process. */
  const endContainerd = async (): Promise<void> => {
    const pid = await containerdPid();
    if (pid !== null) await end(pid, 'SIGKILL', clock);
    await rm(containerd, { recursive: true, force: true });
  };

  /** Runs once the engine answers, since engines before Docker 25 set their own score. Newer ones have no setting. */
  const yieldMemory = async (): Promise<void> => {
    for (const pid of [await runningPid(), await containerdPid()]) {
      if (pid !== null) await writeFile(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE));
    }
  };

  const stop = async (): Promise<void> => {
    const pid = await runningPid();
    // A hanging engine would not react to SIGTERM either.
    if (pid !== null) await end(pid, (await answers()) ? 'SIGTERM' : 'SIGKILL', clock);
    await endContainerd();
  };

  return {
    engine,
    runningPid,
    answers,
    stop,
    version() {
      version ??= askVersion(engine).catch((error: unknown) => {
        version = null;
        throw error;
      });
      return version;
    },
    async start(settings) {
      version = null;
      await mkdir(files.stateDirectory, { recursive: true, mode: 0o700 });
      await mkdir(files.runDirectory, { recursive: true, mode: 0o700 });
      await mkdir(files.dataDirectory, { recursive: true, mode: 0o700 });
      await endContainerd();
      // The engine's record of bridge and containers, which are gone: it would remove the bridge and recreate it.
      await rm(join(files.dataDirectory, 'network'), { recursive: true, force: true });
      await rm(pidPath, { force: true });
      await rm(socketPath, { force: true });
      await writeFile(configPath, JSON.stringify(daemonConfig(files, settings, pidPath, socketPath), null, 2));
      const child = spawnDaemon(files, settings, configPath, logPath);
      for (const end = clock.monotonic() + START_TIMEOUT_MS; clock.monotonic() < end; await clock.sleep(POLL_MS)) {
        if (child.exitCode !== null || child.signalCode !== null) break;
        if (await answers()) return yieldMemory();
      }
      const log = (await readFile(logPath, 'utf8').catch(() => '')).trim().split('\n').slice(-LOG_LINES);
      if (child.exitCode === null) child.kill('SIGKILL');
      throw new OrkestrError('ORK_SANDBOX', 'The build engine did not start.', { evidence: log });
    },
  };
}

async function askVersion(engine: Engine): Promise<EngineVersion> {
  const answer = await engine.call('ask for its version', (docker) => docker.version());
  return { version: answer.Version, architecture: answer.Arch };
}

function daemonConfig(files: DaemonFiles, settings: DaemonSettings, pidfile: string, socketPath: string): object {
  return {
    'data-root': files.dataDirectory,
    'exec-root': join(files.runDirectory, 'exec'),
    pidfile,
    hosts: [`unix://${socketPath}`],
    'cgroup-parent': settings.cgroupParent,
    // With the systemd driver, the parent would have to be a slice.
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    bip: SANDBOX_BRIDGE,
    mtu: settings.mtu,
    ...(settings.nameServers.length === 0 ? {} : { dns: settings.nameServers }),
    // network/namespace.ts sets the one rule that the bridge needs: the engine's own forty took half of its start time.
    iptables: false,
    ip6tables: false,
    'live-restore': false,
    'log-level': 'warn',
    // The graph driver's layout, which allows handing over single layers (handoff/); older engines have no other.
    features: { buildkit: true, 'containerd-snapshotter': false },
    builder: { gc: { enabled: true, defaultKeepStorage: String(settings.cacheBytes) } },
  };
}

/** Detached, so that Ctrl-C for the agent does not reach the engine, which the agent stops in its own order. */
function spawnDaemon(
  files: DaemonFiles,
  settings: DaemonSettings,
  configPath: string,
  logPath: string,
): ReturnType<typeof spawn> {
  const log = openSync(logPath, 'w', 0o600);
  try {
    const dockerd = [
      // A hanging containerd writes its stacks there, so that they are deleted with the sandbox.
      'env',
      `TMPDIR=${files.dataDirectory}`,
      // BuildKit's own limits are per step and also withhold earlier output (measured); ours is per build (build/limits.ts).
      `BUILDKIT_STEP_LOG_MAX_SIZE=${NO_CAP}`,
      `BUILDKIT_STEP_LOG_MAX_SPEED=${NO_CAP}`,
      'dockerd',
      `--config-file=${configPath}`,
      // If the host's engine shares its containerd, this separates our containers from those of the host.
      `--containerd-namespace=orkb-${settings.scope}`,
      `--containerd-plugins-namespace=orkb-plugins-${settings.scope}`,
    ];
    const child = spawn('nsenter', [`--net=${settings.namespacePath}`, '--', ...dockerd], {
      stdio: ['ignore', log, log],
      detached: true,
    });
    child.on('error', () => undefined); // leaves a child without an exit code: `start` times out and reports the log
    child.unref();
    if (child.pid !== undefined) settings.joinGroup(child.pid);
    return child;
  } finally {
    closeSync(log);
  }
}

/**
 * Process id in a pid file if the command line of that process contains `argument`: the file may outlive its process,
 * and the number may be reused.
 */
async function ownPid(pidPath: string, argument: string): Promise<number | null> {
  const pid = Number(await readFile(pidPath, 'utf8').catch(() => '')); // no file: never started, or stopped properly
  if (!(pid > 1)) return null;
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0'); // no such process
  return argv.includes(argument) ? pid : null;
}

/** Ends a process, by SIGKILL if `first` takes too long. @throws OrkestrError ORK_SANDBOX */
async function end(pid: number, first: 'SIGTERM' | 'SIGKILL', clock: DaemonClock): Promise<void> {
  for (const signal of [first, 'SIGKILL'] as const) {
    sendSignal(pid, signal);
    if (await isGone(pid, clock)) return;
  }
  throw new OrkestrError('ORK_SANDBOX', `The build engine (process ${pid}) cannot be stopped.`);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it ended by itself
  }
}

async function isGone(pid: number, clock: DaemonClock): Promise<boolean> {
  for (const end = clock.monotonic() + STOP_TIMEOUT_MS; clock.monotonic() < end; await clock.sleep(POLL_MS)) {
    // A zombie child of ours has no command line.
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) === '') return true;
  }
  return false;
}
