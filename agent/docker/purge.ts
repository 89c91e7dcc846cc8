/** Takes everything that carries this agent's scope out of the engine: containers, images, networks, in that order. */
import { type Engine, orNull } from '../lib/engine.ts';
import { LABEL, pulledRepository } from '../lib/labels.ts';

const STOP_GRACE_SECONDS = 10;
const REMOVE_TIMEOUT_MS = 120_000;

export interface Purged {
  readonly containers: number;
  readonly images: number;
  readonly networks: number;
}

/** Others' things are never touched. Calling it again is fine. */
export async function purgeEngine(
  engine: Engine,
  scope: string,
  { keepImages }: { readonly keepImages: boolean },
): Promise<Purged> {
  const filters = { label: [`${LABEL.scope}=${scope}`] };
  const containers = await engine.call('list containers', (docker, abortSignal) =>
    docker.listContainers({ all: true, filters, abortSignal }),
  );
  for (const { Id } of containers) await removeContainer(engine, Id);
  const images = keepImages
    ? []
    : [
        ...(await engine.call('list images', (docker, abortSignal) => docker.listImages({ filters, abortSignal }))),
        ...(await engine.call('list pulled images', (docker, abortSignal) =>
          docker.listImages({ filters: { reference: [pulledRepository(scope, '*')] }, abortSignal }),
        )),
      ];
  for (const { Id } of images) await removeImage(engine, Id);
  const networks = await engine.call('list networks', (docker, abortSignal) =>
    docker.listNetworks({ filters, abortSignal }),
  );
  for (const { Id } of networks) {
    await orNull(
      engine.call(`remove network ${Id}`, (docker, abortSignal) => docker.getNetwork(Id).remove({ abortSignal })),
    );
  }
  return { containers: containers.length, images: new Set(images.map(({ Id }) => Id)).size, networks: networks.length };
}

async function removeContainer(engine: Engine, id: string): Promise<void> {
  const timeoutMs = REMOVE_TIMEOUT_MS;
  // A container that stands still already answers 304, which dockerode throws: removing by force covers both.
  await engine
    .call(`stop ${id}`, (docker) => docker.getContainer(id).stop({ t: STOP_GRACE_SECONDS }), { timeoutMs })
    .catch(() => undefined);
  await orNull(
    engine.call(
      `remove ${id}`,
      (docker, abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
      {
        timeoutMs,
      },
    ),
  );
}

/** By id and with all its names: nothing of ours runs any more, so nothing can be in use. */
async function removeImage(engine: Engine, id: string): Promise<void> {
  await orNull(
    engine.call(
      `remove image ${id}`,
      (docker, abortSignal) => docker.getImage(id).remove({ force: true, abortSignal }),
      {
        timeoutMs: REMOVE_TIMEOUT_MS,
      },
    ),
  );
}
