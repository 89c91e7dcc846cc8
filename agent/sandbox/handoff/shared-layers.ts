/** How much of an image an engine has already, told from other images there that begin with the same layers. */
import { type Engine, orNull } from '../../lib/engine.ts';

/**
 * Number of `layers` (diff ids, from the base up) that one of the images `alike` on `engine` begins with, too: those the engine
 * has. Null when none of them has even the lowest, which does not say that nothing is there.
 */
export async function sharedLayers(
  engine: Engine,
  layers: readonly string[],
  alike: readonly string[],
): Promise<number | null> {
  const shared = await Promise.all(alike.map(async (image) => sharedStart(layers, await layersOf(engine, image))));
  return Math.max(0, ...shared) || null;
}

async function layersOf(engine: Engine, image: string): Promise<readonly string[]> {
  const info = await orNull(engine.call(`inspect image ${image}`, (docker) => docker.getImage(image).inspect()));
  return info?.RootFS.Layers ?? [];
}

/** An engine keeps a layer together with all below it (layer-store.ts, `chainIds`): only a common start counts. */
function sharedStart(some: readonly string[], others: readonly string[]): number {
  const differs = some.findIndex((layer, at) => layer !== others[at]);
  return differs === -1 ? some.length : differs;
}
