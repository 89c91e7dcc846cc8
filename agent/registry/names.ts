/** Names that an engine gives to images on their way to and from a registry. */
import type { Engine } from '../lib/engine.ts';

/**
 * Takes a name off an image, if it has it; with its last one the image goes. One that could not be dropped takes room until the
 * engine is pruned, and nothing else.
 */
export async function dropName(engine: Engine, name: string): Promise<void> {
  await engine.call(`drop the name ${name}`, (docker) => docker.getImage(name).remove()).catch(() => undefined);
}
