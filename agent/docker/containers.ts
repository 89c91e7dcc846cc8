/** Implements ContainerRuntime with Docker Engine. */
import type { ContainerInspectInfo } from 'dockerode';
import type { ContainerRuntime, ContainerState } from '../deployment/ports.ts';
import { cutText } from '../lib/cut.ts';
import { LABEL } from '../lib/labels.ts';
import { toState } from './container-state.ts';
import { type Engine, statusOf } from '../lib/engine.ts';
import { execIn } from './exec-in.ts';
import { inspectContainer } from './inspect.ts';
import { listenersOf } from './listeners.ts';
import { killedForMemory } from './memory-kill.ts';
import { removeNetwork } from './networks.ts';
import { removeContainer } from './remove.ts';
import { startContainer, startExisting } from './start-container.ts';
import { demultiplex } from './streams.ts';

/** In addition to the grace, for the engine. */
const STOP_MARGIN_MS = 60_000;
const MAX_TAIL_LINES = 1000;
const MAX_LINE_CHARACTERS = 2000;

interface ContainerRuntimeOptions {
  readonly scope: string;
  /**
   * Runs before each start: installs the firewall rules of project networks, which a restarted engine may have dropped.
   */
  readonly beforeStart?: () => Promise<void>;
}

/** The port ContainerRuntime. Its calls throw the engine's codes, ORK_START_FAILED, and what `beforeStart` throws. */
export function makeContainerRuntime(engine: Engine, options: ContainerRuntimeOptions): ContainerRuntime {
  const { scope, beforeStart = async () => undefined } = options;

  /** Null also for a container that is not ours: it is never touched. */
  const inspectOurs = async (name: string): Promise<ContainerInspectInfo | null> => {
    const info = await inspectContainer(engine, name);
    return info?.Config.Labels?.[LABEL.scope] === scope ? info : null;
  };

  return {
    async start(request) {
      return describe(engine, await startContainer(engine, scope, request, beforeStart));
    },

    async startExisting(name) {
      return describe(engine, await startExisting(engine, scope, name, beforeStart));
    },

    async stop(name, graceSeconds) {
      if ((await inspectOurs(name)) !== null) await stopContainer(engine, name, graceSeconds);
    },

    async stopAndRemove(name, graceSeconds) {
      if ((await inspectOurs(name)) === null) return;
      await stopContainer(engine, name, graceSeconds);
      await removeContainer(engine, name, { withVolumes: true });
    },

    async keepRunning(name) {
      await engine.call(`keep ${name} running`, (docker, abortSignal) =>
        docker.getContainer(name).update({ RestartPolicy: { Name: 'unless-stopped' }, abortSignal }),
      );
    },

    async inspect(name) {
      const info = await inspectOurs(name);
      return info === null ? null : describe(engine, info);
    },

    list: () => listContainers(engine, scope),

    async variables(name) {
      const info = await inspectOurs(name);
      return (info?.Config.Env ?? []).map((line) => line.slice(line.indexOf('=') + 1));
    },

    async tail(name, lines) {
      return (await inspectOurs(name)) === null ? [] : lastLines(engine, name, lines);
    },

    async listeners(name) {
      const pid = (await inspectOurs(name))?.State.Pid ?? 0;
      return pid > 0 ? listenersOf(pid) : [];
    },

    exec: (name, argv, timeoutMs) => execIn(engine, name, argv, timeoutMs),

    removeNetwork: (networkName) => removeNetwork(engine, scope, networkName),
  };
}

const describe = async (engine: Engine, info: ContainerInspectInfo): Promise<ContainerState> =>
  toState(info, await killedForMemory(engine, info));

/** No-op if it is gone or stopped already. */
async function stopContainer(engine: Engine, name: string, graceSeconds: number): Promise<void> {
  try {
    await engine.call(
      `stop ${name}`,
      (docker, abortSignal) => docker.getContainer(name).stop({ t: Math.ceil(graceSeconds), abortSignal }),
      { timeoutMs: graceSeconds * 1000 + STOP_MARGIN_MS },
    );
  } catch (error) {
    const status = statusOf(error);
    if (status !== 304 && status !== 404) throw error;
  }
}

async function listContainers(engine: Engine, scope: string): Promise<ContainerState[]> {
  const found = await engine.call('list containers', (docker, abortSignal) =>
    docker.listContainers({ all: true, filters: { label: [`${LABEL.scope}=${scope}`] }, abortSignal }),
  );
  const states: ContainerState[] = [];
  for (const { Id } of found) {
    const info = await inspectContainer(engine, Id); // may be gone by now
    if (info !== null && info.Config.Labels[LABEL.deployment] !== undefined) states.push(await describe(engine, info));
  }
  return states;
}

async function lastLines(engine: Engine, name: string, lines: number): Promise<string[]> {
  const raw = await engine.call(`logs of ${name}`, (docker, abortSignal) =>
    docker
      .getContainer(name)
      .logs({ stdout: true, stderr: true, follow: false, tail: Math.min(lines, MAX_TAIL_LINES), abortSignal }),
  );
  const text = demultiplex(raw).toString('utf8').replace(/\n$/, '');
  if (text === '') return [];
  return text
    .split('\n')
    .slice(-lines)
    .map((line) => cutText(line, MAX_LINE_CHARACTERS));
}
