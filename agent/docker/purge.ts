/** Removes everything with this agent's scope from the engine: containers, images, networks, in that order. */
import type { ImageInfo } from 'dockerode';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';
import { isOurImage, LABEL, namesOfOurs, pulledRepository } from '../lib/labels.ts';
import { attachedTo } from './networks.ts';

const STOP_GRACE_SECONDS = 10;
const REMOVE_TIMEOUT_MS = 120_000;

interface Purged {
  readonly containers: number;
  readonly images: number;
  readonly networks: number;
  /** Networks that stay, because containers that are not ours are attached, running or stopped. */
  readonly kept: readonly KeptNetwork[];
}

interface KeptNetwork {
  readonly name: string;
  /** Names of the containers. */
  readonly containers: readonly string[];
}

/**
 * Never touches what is not ours. Idempotent.
 * @param keepData keeps images, and the anonymous volumes of containers: what an app wrote there belongs to its owner
 */
export async function purgeEngine(
  engine: Engine,
  scope: string,
  { keepData }: { readonly keepData: boolean },
): Promise<Purged> {
  const filters = { label: [`${LABEL.scope}=${scope}`] };
  const containers = await engine.call('list containers', (docker, abortSignal) =>
    docker.listContainers({ all: true, filters, abortSignal }),
  );
  for (const { Id } of containers) await removeContainer(engine, Id, !keepData);
  const images = keepData
    ? []
    : [
        ...(await engine.call('list images', (docker, abortSignal) => docker.listImages({ filters, abortSignal }))),
        ...(await engine.call('list pulled images', (docker, abortSignal) =>
          docker.listImages({ filters: { reference: [pulledRepository(scope, '*')] }, abortSignal }),
        )),
      ];
  const ours = images.filter(({ Labels, RepoTags }) => isOurImage(scope, Labels, RepoTags));
  for (const image of ours) await removeImage(engine, scope, image);
  const networks = await engine.call('list networks', (docker, abortSignal) =>
    docker.listNetworks({ filters, abortSignal }),
  );
  const kept: KeptNetwork[] = [];
  for (const { Id, Name: name } of networks) {
    if (!(await removeUnattached(engine, Id, name))) kept.push({ name, containers: await attachedTo(engine, name) });
  }
  return {
    containers: containers.length,
    images: new Set(ours.map(({ Id }) => Id)).size,
    networks: networks.length - kept.length,
    kept,
  };
}

/** @returns whether the network is gone; false: a container that is not ours keeps it */
async function removeUnattached(engine: Engine, id: string, name: string): Promise<boolean> {
  if ((await attachedTo(engine, name)).length > 0) return false;
  try {
    await orNull(
      engine.call(`remove network ${name}`, (docker, abortSignal) => docker.getNetwork(id).remove({ abortSignal })),
    );
    return true;
  } catch (error) {
    if (statusOf(error) === 403) return false; // attached meanwhile
    throw error;
  }
}

async function removeContainer(engine: Engine, id: string, withVolumes: boolean): Promise<void> {
  const timeoutMs = REMOVE_TIMEOUT_MS;
  // Only gives the app a chance to end cleanly. It may be stopped or gone already. If it does not stop, the removal
  // below is forced, and its failure is reported.
  await engine
    .call(`stop ${id}`, (docker, abortSignal) => docker.getContainer(id).stop({ t: STOP_GRACE_SECONDS, abortSignal }), {
      timeoutMs,
    })
    .catch(() => undefined);
  await orNull(
    engine.call(
      `remove ${id}`,
      (docker, abortSignal) => docker.getContainer(id).remove({ force: true, v: withVolumes, abortSignal }),
      {
        timeoutMs,
      },
    ),
  );
}

/** Removes the image with all its names, as nothing of ours needs it; only our names, if another agent has it too. */
async function removeImage(engine: Engine, scope: string, { Id, Labels, RepoTags }: ImageInfo): Promise<void> {
  const names = namesOfOurs(scope, Labels, RepoTags);
  const isShared = names.length < (RepoTags ?? []).length;
  for (const name of isShared ? names : [Id]) {
    await orNull(
      engine.call(
        `remove image ${name}`,
        (docker, abortSignal) => docker.getImage(name).remove({ force: !isShared, abortSignal }),
        { timeoutMs: REMOVE_TIMEOUT_MS },
      ),
    );
  }
}
