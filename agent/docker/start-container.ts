/** From a request to a running container. Safe to repeat: a container that exists is used, if it is the request's own. */
import type { ContainerInspectInfo } from 'dockerode';
import { setTimeout as delay } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ContainerRequest } from '../deployment/ports.ts';
import { type Engine, statusOf } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';
import { together } from '../lib/together.ts';
import { containerConfig } from './container-config.ts';
import { inspectContainer } from './inspect.ts';
import { ensureNetwork } from './networks.ts';

const APPEAR_TRIES = 100;
const APPEAR_PAUSE_MS = 50;

/**
 * @param beforeStart runs once, beside the creation
 * @returns the container after its start
 * @throws OrkestrError ORK_START_FAILED, ORK_CONFLICT for another deployment's container, and what `beforeStart` throws
 */
export async function startContainer(
  engine: Engine,
  scope: string,
  request: ContainerRequest,
  beforeStart: () => Promise<void>,
): Promise<ContainerInspectInfo> {
  // In parallel: nothing runs before both are done. Waits for both even if one fails, so no container appears late.
  const [existing] = await together(findOrCreate(engine, scope, request), beforeStart());
  if (existing !== null) refuseForeign(existing, scope, request);
  if (existing?.State.Running !== true) await start(engine, request.name);
  const started = (await inspectContainer(engine, request.name)) ?? existing;
  if (started !== null) return started;
  throw new OrkestrError('ORK_START_FAILED', `The container ${request.name} was removed while it was starting.`);
}

/**
 * Starts a container that exists, as it is.
 * @param beforeStart runs once, before the start
 * @returns the container after its start
 * @throws OrkestrError ORK_START_FAILED, also if there is none of ours; ORK_CONFLICT, ORK_SUBNET_NONE if its network was
 *   removed and cannot be made again; what `beforeStart` throws
 */
export async function startExisting(
  engine: Engine,
  scope: string,
  name: string,
  beforeStart: () => Promise<void>,
): Promise<ContainerInspectInfo> {
  const existing = await inspectContainer(engine, name);
  const labels = existing?.Config.Labels ?? {};
  if (existing === null || labels[LABEL.scope] !== scope) {
    throw new OrkestrError('ORK_START_FAILED', `This host has no container ${name} of orkestr.`);
  }
  const network = { name: existing.HostConfig.NetworkMode ?? '', projectId: labels[LABEL.project] ?? '' };
  await together(ensureNetwork(engine, scope, network), beforeStart());
  if (!existing.State.Running) await start(engine, name);
  return (await inspectContainer(engine, name)) ?? existing;
}

/** Null if the container was created just now. */
async function findOrCreate(
  engine: Engine,
  scope: string,
  request: ContainerRequest,
): Promise<ContainerInspectInfo | null> {
  const [existing] = await together(
    inspectContainer(engine, request.name),
    ensureNetwork(engine, scope, { name: request.networkName, projectId: request.owner.projectId }),
  );
  return existing ?? create(engine, scope, request);
}

/** Null, or the container of that name that another call created. */
async function create(engine: Engine, scope: string, request: ContainerRequest): Promise<ContainerInspectInfo | null> {
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
    const info = await inspectContainer(engine, request.name);
    if (info !== null) return info;
    await delay(APPEAR_PAUSE_MS);
  }
  throw new OrkestrError(
    'ORK_START_FAILED',
    `Docker Engine reports the name ${request.name} as taken, but lists no such container.`,
  );
}

async function start(engine: Engine, name: string): Promise<void> {
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
