/**
 * Makes sure that a Docker Engine responds, and knows what it started for that, so that exactly this is stopped again.
 * An engine that already responds belongs to somebody else and stays as it is.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { endProcess, identify, isAlive } from '../stack/process-identity.ts';
import type { ProcessIdentity } from '../stack/process-identity.ts';
import { mustRun } from '../stack/run-program.ts';
import { Service } from '../stack/service.ts';
import { EngineApi } from './engine-api.ts';
import { noteNetwork, restoreNetwork } from './engine-network.ts';
import { unmountBelow } from './mounts.ts';

export const DOCKER_SOCKET = '/var/run/docker.sock';
/** How long an engine may take to respond, ms; with many containers and a slow disk, tens of seconds. */
const START_TIMEOUT_MS = 90_000;
const STOP_GRACE_MS = 30_000;

export interface EnginePlan {
  /** Folder for its data and config. */
  readonly folder: string;
  /** Short folder for its sockets and run files (unix socket paths are limited to 107 bytes). */
  readonly runFolder: string;
  readonly logFile: string;
  readonly socket: string;
  /** Whether the machine was booted with systemd. */
  readonly systemd: boolean;
  /** Put before `dockerd`; tests use it to run dockerd in its own network namespace. */
  readonly wrapper?: readonly [string, ...string[]];
}

interface Engine {
  readonly version: string;
  /** Found running, or started by us (`adopted`: by an earlier run that was interrupted). */
  readonly origin: 'found' | 'started' | 'adopted';
}

interface OurProcess extends ProcessIdentity {
  readonly program: string;
}

/** @throws OrkestrError ORK_PREPARE_FAILED with the end of the engine's log */
export async function ensureEngine(plan: EnginePlan, say: (detail: string) => void): Promise<Engine> {
  const api = new EngineApi(plan.socket);
  try {
    const ours = ourProcesses(plan);
    const version = await api.version();
    if (version) return { version, origin: ours.some(isEngine) || existsSync(unitMark(plan)) ? 'adopted' : 'found' };
    const engines = ours.filter(isEngine);
    if (engines.length > 0) {
      // It is still starting, or hangs, after an interrupted run.
      say('an engine of an earlier run does not answer yet');
      const late = await answers(api, 20_000, () => engines.some(isAlive));
      if (late) return { version: late, origin: 'adopted' };
      // Ends only the engine: its containerd and containers keep running, and the new engine takes them over
      // (live-restore).
      await Promise.all(engines.map((engine) => endProcess(engine, STOP_GRACE_MS)));
    }
    return { version: await (plan.systemd ? startUnit : startProcess)(plan, api, say), origin: 'started' };
  } finally {
    await api.close();
  }
}

/** Stops what {@link ensureEngine} started, in this run or an earlier one. An engine that was found keeps running. */
export async function stopEngine(plan: EnginePlan): Promise<boolean> {
  if (existsSync(unitMark(plan))) {
    await mustRun('systemctl stop docker', ['systemctl', 'stop', 'docker.service']);
    rmSync(unitMark(plan));
    return true;
  }
  const ours = ourProcesses(plan);
  const engines = ours.filter(isEngine);
  await Promise.all(engines.map((engine) => endProcess(engine, STOP_GRACE_MS)));
  // A killed dockerd leaves its containerd, shims and mounts behind.
  await Promise.all(ourProcesses(plan).map((helper) => endProcess(helper, 5000)));
  await unmountBelow(plan.runFolder);
  await unmountBelow(plan.folder);
  // Only after an engine of ours: otherwise the socket may be another engine's by now.
  if (engines.length > 0) {
    rmSync(plan.socket, { force: true });
    await restoreNetwork(plan);
  }
  return ours.length > 0;
}

async function startUnit(plan: EnginePlan, api: EngineApi, say: (detail: string) => void): Promise<string> {
  say('systemctl start docker');
  // Before the effect: an interrupted run must not leave an engine that nobody stops.
  mkdirSync(plan.folder, { recursive: true, mode: 0o700 });
  writeFileSync(unitMark(plan), 'docker.service was started by orkestr\n');
  await mustRun('systemctl start docker', ['systemctl', 'start', 'docker.service'], { timeoutMs: START_TIMEOUT_MS });
  const version = await answers(api, START_TIMEOUT_MS, () => true);
  if (version) return version;
  const journal = ['journalctl', '-u', 'docker.service', '-n', '20', '--no-pager'] as const;
  const evidence = (await mustRun('journalctl', [...journal])).split('\n');
  throw new OrkestrError('ORK_PREPARE_FAILED', 'systemd started Docker Engine, but it does not answer.', { evidence });
}

async function startProcess(plan: EnginePlan, api: EngineApi, say: (detail: string) => void): Promise<string> {
  say(`starting dockerd, log: ${plan.logFile}`);
  const argv = engineArgv(plan);
  await noteNetwork(plan);
  const service = await Service.start({
    name: 'Docker Engine',
    argv: [...(plan.wrapper ?? []), ...argv] as [string, ...string[]],
    // A hanging containerd writes its stack dumps there.
    env: { ...process.env, TMPDIR: plan.folder },
    logFile: plan.logFile,
  });
  const version = await answers(api, START_TIMEOUT_MS, () => service.running);
  if (version) return version;
  const how = service.running ? `does not answer after ${START_TIMEOUT_MS / 1000} s` : 'ended while starting';
  const evidence = service.lastLines();
  await stopEngine(plan);
  throw new OrkestrError('ORK_PREPARE_FAILED', `Docker Engine ${how}; its log is ${plan.logFile}.`, { evidence });
}

function engineArgv(plan: EnginePlan): string[] {
  for (const folder of [plan.folder, plan.runFolder]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(plan.socket), { recursive: true });
  // Left by killed processes. dockerd refuses to start if another process (or a zombie) has the pid in its file, and
  // waits in vain for a containerd that it believes to be running.
  rmSync(join(plan.runFolder, 'dockerd.pid'), { force: true });
  if (!ourProcesses(plan).some(({ program }) => program === 'containerd')) {
    rmSync(join(execRoot(plan), 'containerd', 'containerd.pid'), { force: true });
  }
  const configFile = join(plan.folder, 'daemon.json');
  const config = {
    'live-restore': true,
    'default-address-pools': [{ base: '172.16.0.0/12', size: 24 }],
    'log-driver': 'json-file',
    'log-opts': { 'max-size': '10m', 'max-file': '2' },
  };
  writeFileSync(configFile, `${JSON.stringify(config, null, 2)}\n`);
  // prettier-ignore
  return [
    'dockerd', '--config-file', configFile,
    '--data-root', join(plan.folder, 'data'),
    '--exec-root', execRoot(plan),
    '--pidfile', join(plan.runFolder, 'dockerd.pid'),
    '--host', `unix://${plan.socket}`,
  ];
}

/**
 * Processes of our engine, recognized by our run folder in their arguments. That needs no record, which a kill between
 * start and record could lose, and it cannot hit an unrelated process.
 */
function ourProcesses(plan: EnginePlan): OurProcess[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const argv = commandLine(pid).split('\0');
    const mentions = argv.some((argument) => argument === execRoot(plan) || argument.startsWith(`${execRoot(plan)}/`));
    const identity = mentions ? identify(Number(pid)) : null;
    return identity ? [{ ...identity, program: basename(argv[0] ?? '') }] : [];
  });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It ended between listing and reading, so it is no helper any more.
    return '';
  }
}

async function answers(api: EngineApi, timeoutMs: number, goesOn: () => boolean): Promise<string | null> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline && goesOn()) {
    const version = await api.version();
    if (version) return version;
    await sleep(200);
  }
  return null;
}

const isEngine = ({ program }: OurProcess): boolean => program === 'dockerd';
const execRoot = (plan: EnginePlan): string => join(plan.runFolder, 'exec');
/** Exists while docker.service runs because we started it. */
const unitMark = (plan: EnginePlan): string => join(plan.folder, 'systemd-unit-started');
