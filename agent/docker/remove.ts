/** Removes one object from the engine. Each function names the refusals of the engine that are results, not errors. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Engine, orNull, statusOf } from '../lib/engine.ts';
import { inspectContainer } from './inspect.ts';

/** A container whose shim died takes the engine over 13 s to remove; images of many layers take longer. */
const TIMEOUT_MS = 120_000;
const LOOK_MS = 200;

/** Also a running one. No-op if it is gone. If another call is removing it right now (409), waits for that. */
export async function removeContainer(
  engine: Engine,
  idOrName: string,
  { withVolumes }: { readonly withVolumes: boolean },
): Promise<void> {
  try {
    await orNull(
      engine.call(
        `remove ${idOrName}`,
        (docker, abortSignal) => docker.getContainer(idOrName).remove({ force: true, v: withVolumes, abortSignal }),
        { timeoutMs: TIMEOUT_MS },
      ),
    );
  } catch (error) {
    if (statusOf(error) !== 409 || !(await isGoneSoon(engine, idOrName))) throw error;
  }
}

/** Whether a removal in progress ends within {@link TIMEOUT_MS}. */
async function isGoneSoon(engine: Engine, idOrName: string): Promise<boolean> {
  for (let leftMs = TIMEOUT_MS; leftMs > 0; leftMs -= LOOK_MS) {
    if ((await inspectContainer(engine, idOrName)) === null) return true;
    await delay(LOOK_MS);
  }
  return false;
}

/** Given a name, removes the image with its last name. No-op if it is gone. @param force also one with other names */
export async function removeImage(
  engine: Engine,
  idOrName: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  await orNull(
    engine.call(
      `remove image ${idOrName}`,
      (docker, abortSignal) => docker.getImage(idOrName).remove({ force, abortSignal }),
      { timeoutMs: TIMEOUT_MS },
    ),
  );
}

/** {@link removeImage}, not forced. @returns false: it stays, because something uses it (409) */
export async function removeUnusedImage(engine: Engine, idOrName: string): Promise<boolean> {
  try {
    await removeImage(engine, idOrName, { force: false });
    return true;
  } catch (error) {
    if (statusOf(error) === 409) return false;
    throw error;
  }
}

/**
 * Containers that are not ours, such as a database of the owner's, keep a network: one that is stopped could not start
 * again without it.
 * @returns false: a container is attached to it, running or stopped, perhaps only since a moment ago (403)
 */
export async function removeUnattachedNetwork(engine: Engine, id: string, name: string): Promise<boolean> {
  if ((await attachedTo(engine, name)).length > 0) return false;
  try {
    await orNull(
      engine.call(`remove network ${name}`, (docker, abortSignal) => docker.getNetwork(id).remove({ abortSignal })),
    );
    return true;
  } catch (error) {
    if (statusOf(error) === 403) return false;
    throw error;
  }
}

/** Names of all containers attached to a network, also of stopped ones and of those that are not ours. */
export async function attachedTo(engine: Engine, networkName: string): Promise<readonly string[]> {
  const filters = { network: [networkName] };
  const found = await engine.call(`list containers of network ${networkName}`, (docker, abortSignal) =>
    docker.listContainers({ all: true, filters, abortSignal }),
  );
  return found.map(({ Id, Names }) => Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12));
}
