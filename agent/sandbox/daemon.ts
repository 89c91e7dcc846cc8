/** The sandbox's dockerd: one process in its own network namespace, found again after a crash of the agent. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Engine } from '../lib/engine.ts';
import { SANDBOX_BRIDGE } from './network.ts';

/** A small machine that is busy takes most of a minute. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const PING_TIMEOUT_MS = 3_000;
const POLL_MS = 20;
const LOG_LINES = 15;
/** BuildKit reads 32 bits; -1, which should mean no cap, is a cap of nothing in the engine of Docker 20.10. */
const NO_CAP = 2 ** 31 - 1;
/**
 * proc_pid_oom_score_adj(5). Apps have 0. RUN inherits it: a host that is out of memory is to kill builds, and never an app or
 * its edge instead.
 */
const OOM_SCORE = 500;

interface DaemonFiles {
  /** Folder of its config and log. */
  readonly stateDirectory: string;
  /** Folder of its data: on the disk of its slot, mounted before it starts. */
  readonly dataDirectory: string;
  /** Folder of its socket and run-time files: a short path, since unix sockets have at most 107 bytes. */
  readonly runDirectory: string;
}

interface DaemonSettings {
  readonly namespacePath: string;
  readonly cgroupParent: string;
  /** Puts the new process into its control group, before it starts others. */
  readonly joinGroup: (pid: number) => void;
  readonly scope: string;
  readonly mtu: number;
  readonly nameServers: readonly string[];
  /** Bytes of build cache that the engine keeps. */
  readonly cacheBytes: number;
}

export interface EngineVersion {
  /** "20.10.24" */
  readonly version: string;
  /** As Go names it: "amd64". */
  readonly architecture: string;
}

interface SandboxDaemon {
  readonly engine: Engine;
  /** Of the engine that runs. It is asked once: for an answer the engine runs its helper programs, which takes 10 ms. */
  version(): Promise<EngineVersion>;
  /** Process id of a dockerd that is ours, from its pid file; null when none runs. */
  runningPid(): Promise<number | null>;
  answers(): Promise<boolean>;
  /** @throws OrkestrError ORK_SANDBOX with the end of its log */
  start(settings: DaemonSettings): Promise<void>;
  /** SIGTERM, then SIGKILL; answers when the process is gone. Nothing to do is fine. */
  stop(): Promise<void>;
}

/** A build engine by its files: to start or to end it throws ORK_SANDBOX. */
export function makeSandboxDaemon(files: DaemonFiles, openEngine: (socketPath: string) => Engine): SandboxDaemon {
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
        () => false, // whatever the reason: it is not usable
      );

  /** A killed engine's containerd dies a moment later; the next engine would take the dying one for its own. */
  const endContainerd = async (): Promise<void> => {
    const pid = await containerdPid();
    if (pid !== null) await end(pid, 'SIGKILL');
    await rm(containerd, { recursive: true, force: true });
  };

  /** When it answers: engines before Docker 25 set their own score when they start. Newer ones have no setting for it. */
  const yieldMemory = async (): Promise<void> => {
    for (const pid of [await runningPid(), await containerdPid()]) {
      if (pid !== null) await writeFile(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE));
    }
  };

  const stop = async (): Promise<void> => {
    const pid = await runningPid();
    // One that hangs would not hear a SIGTERM either.
    if (pid !== null) await end(pid, (await answers()) ? 'SIGTERM' : 'SIGKILL');
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
      // What it last knew of its bridge and of containers, all of them gone: it would take that bridge away and make it again.
      await rm(join(files.dataDirectory, 'network'), { recursive: true, force: true });
      await rm(pidPath, { force: true });
      await rm(socketPath, { force: true });
      await writeFile(configPath, JSON.stringify(daemonConfig(files, settings, pidPath, socketPath), null, 2));
      const child = spawnDaemon(files, settings, configPath, logPath);
      for (const end = performance.now() + START_TIMEOUT_MS; performance.now() < end; await delay(POLL_MS)) {
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
    // Under the systemd driver the parent would have to be a slice.
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    bip: SANDBOX_BRIDGE,
    mtu: settings.mtu,
    ...(settings.nameServers.length === 0 ? {} : { dns: settings.nameServers }),
    // The one rule that its bridge needs is there (network.ts): half of a start was the engine's own forty.
    iptables: false,
    ip6tables: false,
    'live-restore': false,
    'log-level': 'warn',
    // The graph driver's layout, from which layers are handed over one by one (handoff/); older engines have no other.
    features: { buildkit: true, 'containerd-snapshotter': false },
    builder: { gc: { enabled: true, defaultKeepStorage: String(settings.cacheBytes) } },
  };
}

/** Detached: a Ctrl-C for the agent is not one for the engine, which the agent stops in its own order. */
function spawnDaemon(
  files: DaemonFiles,
  settings: DaemonSettings,
  configPath: string,
  logPath: string,
): ReturnType<typeof spawn> {
  const log = openSync(logPath, 'w', 0o600);
  try {
    const dockerd = [
      // Its containerd writes its stacks there when it hangs; they go with the rest of the sandbox.
      'env',
      `TMPDIR=${files.dataDirectory}`,
      // BuildKit's own caps are per step and keep back even what came before (measured); ours is per build (limits.ts).
      `BUILDKIT_STEP_LOG_MAX_SIZE=${NO_CAP}`,
      `BUILDKIT_STEP_LOG_MAX_SPEED=${NO_CAP}`,
      'dockerd',
      `--config-file=${configPath}`,
      // Where containerd is shared with the host's engine, our containers stay apart from its own.
      `--containerd-namespace=orkb-${settings.scope}`,
      `--containerd-plugins-namespace=orkb-plugins-${settings.scope}`,
    ];
    const child = spawn('nsenter', [`--net=${settings.namespacePath}`, '--', ...dockerd], {
      stdio: ['ignore', log, log],
      detached: true,
    });
    child.on('error', () => undefined); // shows as a child without exit: the poll below tells it with the log
    child.unref();
    if (child.pid !== undefined) settings.joinGroup(child.pid);
    return child;
  } finally {
    closeSync(log);
  }
}

/**
 * Process id in a pid file, when that process has `argument` in its command line: the file may outlive its process, and
 * the number may have been given to another one.
 */
async function ownPid(pidPath: string, argument: string): Promise<number | null> {
  const pid = Number(await readFile(pidPath, 'utf8').catch(() => '')); // no file: never started, or stopped well
  if (!(pid > 1)) return null;
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0'); // no such process
  return argv.includes(argument) ? pid : null;
}

/** Ends a process: when `first` does not do it in time, SIGKILL. @throws OrkestrError ORK_SANDBOX */
async function end(pid: number, first: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  for (const signal of [first, 'SIGKILL'] as const) {
    sendSignal(pid, signal);
    if (await isGone(pid, STOP_TIMEOUT_MS)) return;
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

async function isGone(pid: number, withinMs: number): Promise<boolean> {
  for (const end = performance.now() + withinMs; performance.now() < end; await delay(POLL_MS)) {
    // A child of ours that ended and was not yet waited for has no command line any more.
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) === '') return true;
  }
  return false;
}
