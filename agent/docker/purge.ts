/** Removes everything with this agent's scope from the engine: containers, images, networks, in that order. */
import type { ImageInfo } from 'dockerode';
import type { Engine } from '../lib/engine.ts';
import { isOurImage, LABEL, namesOfOurs, pulledRepository } from '../lib/labels.ts';
import { attachedTo, removeContainer, removeImage, removeUnattachedNetwork } from './remove.ts';

const STOP_GRACE_SECONDS = 10;
const STOP_TIMEOUT_MS = 120_000;

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
  for (const { Id } of containers) await endContainer(engine, Id, !keepData);
  const images = keepData
    ? []
    : [
        ...(await engine.call('list images', (docker, abortSignal) => docker.listImages({ filters, abortSignal }))),
        ...(await engine.call('list pulled images', (docker, abortSignal) =>
          docker.listImages({ filters: { reference: [pulledRepository(scope, '*')] }, abortSignal }),
        )),
      ];
  const ours = images.filter(({ Labels, RepoTags }) => isOurImage(scope, Labels, RepoTags));
  for (const image of ours) await removeOurs(engine, scope, image);
  const networks = await engine.call('list networks', (docker, abortSignal) =>
    docker.listNetworks({ filters, abortSignal }),
  );
  const kept: KeptNetwork[] = [];
  for (const { Id, Name: name } of networks) {
    if (await removeUnattachedNetwork(engine, Id, name)) continue;
    kept.push({ name, containers: await attachedTo(engine, name) });
  }
  return {
    containers: containers.length,
    images: new Set(ours.map(({ Id }) => Id)).size,
    networks: networks.length - kept.length,
    kept,
  };
}

/**
 * Asks the app to end first. It may be stopped or gone already; if it does not stop, the removal is forced, and a failure
 * of that is reported.
 */
async function endContainer(engine: Engine, id: string, withVolumes: boolean): Promise<void> {
  await engine
    .call(`stop ${id}`, (docker, abortSignal) => docker.getContainer(id).stop({ t: STOP_GRACE_SECONDS, abortSignal }), {
      timeoutMs: STOP_TIMEOUT_MS,
    })
    .catch(() => undefined);
  await removeContainer(engine, id, { withVolumes });
}

/** Removes the image with all its names, as nothing of ours needs it; only our names, if another agent has it too. */
async function removeOurs(engine: Engine, scope: string, { Id, Labels, RepoTags }: ImageInfo): Promise<void> {
  const names = namesOfOurs(scope, Labels, RepoTags);
  const isShared = names.length < (RepoTags ?? []).length;
  for (const name of isShared ? names : [Id]) await removeImage(engine, name, { force: !isShared });
}
