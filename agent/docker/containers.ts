/** Implements ContainerRuntime with Docker Engine. */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import { setTimeout as delay } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ContainerRequest, ContainerRuntime, ContainerState } from '../deployment/ports.ts';
import { cutText } from '../lib/cut.ts';
import { killedByLimit } from '../lib/kernel-log.ts';
import { LABEL } from '../lib/labels.ts';
import { containerConfig } from './container-config.ts';
import { killedForMemory, toState } from './container-state.ts';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';
import { together } from '../lib/together.ts';
import { execIn } from './exec-in.ts';
import { listenersOf } from './listeners.ts';
import { ensureNetwork, removeNetwork } from './networks.ts';
import { demultiplex } from './streams.ts';

/** In addition to the grace: a container whose shim died takes the engine over 13 s to remove. */
const STOP_MARGIN_MS = 60_000;
const APPEAR_TRIES = 100;
const APPEAR_PAUSE_MS = 50;
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
  const { scope } = options;

  const look = (name: string): Promise<ContainerInspectInfo | null> =>
    orNull(
      engine.call(`inspect container ${name}`, (docker, abortSignal) =>
        docker.getContainer(name).inspect({ abortSignal }),
      ),
    );
  /** Null also for a container that is not ours: it is never touched. */
  const lookAtOurs = async (name: string): Promise<ContainerInspectInfo | null> => {
    const info = await look(name);
    return info?.Config.Labels?.[LABEL.scope] === scope ? info : null;
  };

  const stop = async (name: string, graceSeconds: number): Promise<void> => {
    if ((await lookAtOurs(name)) === null) return;
    // 304: already stopped. 404: gone.
    await tolerate([304, 404], () =>
      engine.call(
        `stop ${name}`,
        (docker, abortSignal) => docker.getContainer(name).stop({ t: Math.ceil(graceSeconds), abortSignal }),
        { timeoutMs: graceSeconds * 1000 + STOP_MARGIN_MS },
      ),
    );
  };

  /** Null if the container was created just now. */
  const findOrCreate = async (request: ContainerRequest): Promise<ContainerInspectInfo | null> => {
    const [existing] = await together(
      look(request.name),
      ensureNetwork(engine, scope, { name: request.networkName, projectId: request.owner.projectId }),
    );
    return existing ?? create(engine, scope, request, look);
  };

  return {
    stop,

    async start(request) {
      // In parallel: nothing runs before both are done. Waits for both even if one fails, so no container appears late.
      const [existing] = await together(findOrCreate(request), options.beforeStart?.() ?? Promise.resolve());
      if (existing !== null) refuseForeign(existing, scope, request);
      if (existing?.State.Running !== true) await startContainer(engine, request.name);
      const started = (await look(request.name)) ?? existing;
      if (started !== null) return describe(started, engine);
      throw new OrkestrError('ORK_START_FAILED', `The container ${request.name} was removed while it was starting.`);
    },

    async inspect(name) {
      const info = await lookAtOurs(name);
      return info === null ? null : describe(info, engine);
    },

    async list() {
      const found = await engine.call('list containers', (docker, abortSignal) =>
        docker.listContainers({ all: true, filters: { label: [`${LABEL.scope}=${scope}`] }, abortSignal }),
      );
      const states: ContainerState[] = [];
      for (const { Id } of found) {
        const info = await look(Id); // may be gone by now
        if (info !== null && info.Config.Labels[LABEL.deployment] !== undefined)
          states.push(await describe(info, engine));
      }
      return states;
    },

    async keepRunning(name) {
      await engine.call(`keep ${name} running`, (docker, abortSignal) =>
        docker.getContainer(name).update({ RestartPolicy: { Name: 'unless-stopped' }, abortSignal }),
      );
    },

    async stopAndRemove(name, graceSeconds) {
      if ((await lookAtOurs(name)) === null) return;
      await stop(name, graceSeconds);
      // 409: another call is removing it right now.
      await tolerate([404, 409], () =>
        engine.call(
          `remove ${name}`,
          (docker, abortSignal) => docker.getContainer(name).remove({ force: true, v: true, abortSignal }),
          { timeoutMs: STOP_MARGIN_MS },
        ),
      );
    },

    async variables(name) {
      const info = await lookAtOurs(name);
      return (info?.Config.Env ?? []).map((line) => line.slice(line.indexOf('=') + 1));
    },

    async tail(name, lines) {
      if ((await lookAtOurs(name)) === null) return [];
      const raw = await engine.call(`logs of ${name}`, (docker, abortSignal) =>
        docker
          .getContainer(name)
          .logs({ stdout: true, stderr: true, follow: false, tail: Math.min(lines, MAX_TAIL_LINES), abortSignal }),
      );
      const text = demultiplex(raw).toString('utf8').replace(/\n$/, '');
      return text === ''
        ? []
        : text
            .split('\n')
            .slice(-lines)
            .map((line) => cutText(line, MAX_LINE_CHARACTERS));
    },

    async listeners(name) {
      const pid = (await lookAtOurs(name))?.State.Pid ?? 0;
      return pid > 0 ? listenersOf(pid) : [];
    },

    exec: (name, argv, timeoutMs) => execIn(engine, name, argv, timeoutMs),

    removeNetwork: (networkName) => removeNetwork(engine, scope, networkName),
  };
}

/** Null, or the container of that name that another call created. */
async function create(
  engine: Engine,
  scope: string,
  request: ContainerRequest,
  look: (name: string) => Promise<ContainerInspectInfo | null>,
): Promise<ContainerInspectInfo | null> {
  try {
    await engine.call(`create ${request.name}`, (docker, abortSignal) =>
      docker.createContainer({ ...containerConfig(scope, request), abortSignal }),
    );
    return null;
  } catch (error) {
    // 409: another create of this name came first, perhaps one whose response was lost. Its container is used.
    if (statusOf(error) !== 409) throw asStartFailure(error);
  }
  // The engine reserves the name a moment before it lists the container.
  for (let tries = 0; tries < APPEAR_TRIES; tries += 1) {
    const info = await look(request.name);
    if (info !== null) return info;
    await delay(APPEAR_PAUSE_MS);
  }
  throw new OrkestrError(
    'ORK_START_FAILED',
    `Docker Engine reports the name ${request.name} as taken, but lists no such container.`,
  );
}

async function startContainer(engine: Engine, name: string): Promise<void> {
  try {
    await engine.call(`start ${name}`, (docker, abortSignal) => docker.getContainer(name).start({ abortSignal }));
  } catch (error) {
    if (statusOf(error) !== 304) throw asStartFailure(error); // 304: it runs already
  }
}

/** The engine's own message, without its HTTP wrapping. */
function asStartFailure(error: unknown): unknown {
  if (statusOf(error) === undefined || !(error instanceof Error)) return error;
  const reason = error.message
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .replace(/^.*OCI runtime create failed: (?:container_linux\.go:\d+: )?/, '')
    .trim();
  return new OrkestrError('ORK_START_FAILED', `The container could not be started: ${reason.slice(0, 500)}.`, {
    evidence: [error.message.trim()],
    cause: error,
  });
}

function refuseForeign(info: ContainerInspectInfo, scope: string, request: ContainerRequest): void {
  const labels = info.Config.Labels ?? {};
  if (labels[LABEL.scope] === scope && labels[LABEL.deployment] === request.owner.deploymentId) return;
  throw new OrkestrError(
    'ORK_CONFLICT',
    `A container named ${request.name} already exists on this host and belongs to another deployment.`,
  );
}

async function describe(info: ContainerInspectInfo, engine: Engine): Promise<ContainerState> {
  if (info.State.Running) return toState(info, await killedForMemory(info.State.Pid));
  const suspicious = info.State.ExitCode === 137 && !info.State.OOMKilled;
  return toState(info, suspicious && (await wasKilledForMemory(engine, info)));
}

/** The kernel log comes first: an engine that looks too late, when the cgroup is gone, never reports the kill. */
const wasKilledForMemory = async (engine: Engine, info: ContainerInspectInfo): Promise<boolean> =>
  killedByLimit(info.Id, Date.parse(info.State.StartedAt)) || toldOfOom(engine, info);

/** How much later than the end of its container a busy host may report an OOM kill, seconds. */
const LATE_SECONDS = 2;

/** Whether the engine reported an OOM kill in this container's last run. It keeps its last 256 events. */
async function toldOfOom(engine: Engine, info: ContainerInspectInfo): Promise<boolean> {
  const seconds = (moment: string): number => Date.parse(moment) / 1000;
  return engine.call('events of a container', async (docker: Docker, abortSignal) => {
    const events = await docker.getEvents({
      since: Math.floor(seconds(info.State.StartedAt)),
      until: Math.ceil(seconds(info.State.FinishedAt)) + LATE_SECONDS,
      filters: { container: [info.Id], event: ['oom'] },
      abortSignal,
    });
    for await (const _event of events) return true;
    return false;
  });
}

/** Runs `work`. The listed HTTP statuses mean that there was nothing to do. */
async function tolerate(statuses: readonly number[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined || !statuses.includes(status)) throw error;
  }
}
