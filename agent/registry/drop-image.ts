import type { Engine } from '../lib/engine.ts';

/**
 * Removes a name from an image, if present, and with its last name the image; given an id, removes the image. Ignores
 * failure: the image takes space until the engine is pruned.
 */
export async function dropImage(engine: Engine, nameOrId: string): Promise<void> {
  await engine
    .call(`drop the image ${nameOrId}`, (docker) => docker.getImage(nameOrId).remove())
    .catch(() => undefined);
}
