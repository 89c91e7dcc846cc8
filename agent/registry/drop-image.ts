import type { Engine } from '../lib/engine.ts';

/**
 * Takes a name off an image, if it has it; with its last one the image goes, and by its id the image itself. One that could not be
 * dropped takes room until the engine is pruned, and nothing else.
 */
export async function dropImage(engine: Engine, nameOrId: string): Promise<void> {
  await engine
    .call(`drop the image ${nameOrId}`, (docker) => docker.getImage(nameOrId).remove())
    .catch(() => undefined);
}
