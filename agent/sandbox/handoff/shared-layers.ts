/** How many layers of an image an engine already has, judged by its other images that start with the same layers. */
import type { ImageInspectInfo } from 'dockerode';
import { type Engine, orNull } from '../../lib/engine.ts';

/** Inspects those of the images that the engine has. */
export async function lookAtImages(engine: Engine, names: readonly string[]): Promise<readonly ImageInspectInfo[]> {
  const found = await Promise.all(
    names.map((name) => orNull(engine.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect()))),
  );
  return found.filter((image) => image !== null);
}

/**
 * Number of `layers` (diff ids, from the base up) that one of the engine's images starts with too, so that the engine
 * has them. Null if none shares even the lowest layer, which does not mean that the engine lacks all of them.
 */
export function sharedLayers(layers: readonly string[], images: readonly ImageInspectInfo[]): number | null {
  return Math.max(0, ...images.map(({ RootFS }) => sharedStart(layers, RootFS.Layers ?? []))) || null;
}

/** An engine stores a layer by its chain id (layer-store.ts, `chainIds`), so only a common prefix counts. */
function sharedStart(some: readonly string[], others: readonly string[]): number {
  const differs = some.findIndex((layer, at) => layer !== others[at]);
  return differs === -1 ? some.length : differs;
}
