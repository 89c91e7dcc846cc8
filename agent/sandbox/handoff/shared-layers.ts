/** How much of an image an engine has already, told from other images there that begin with the same layers. */
import type { ImageInspectInfo } from 'dockerode';
import { type Engine, orNull } from '../../lib/engine.ts';

/** Those of the images that the engine has. */
export async function lookAtImages(engine: Engine, names: readonly string[]): Promise<readonly ImageInspectInfo[]> {
  const found = await Promise.all(
    names.map((name) => orNull(engine.call(`inspect image ${name}`, (docker) => docker.getImage(name).inspect()))),
  );
  return found.filter((image) => image !== null);
}

/**
 * Number of `layers` (diff ids, from the base up) that one of an engine's images begins with, too: those the engine has. Null
 * when none of them has even the lowest, which does not say that nothing is there.
 */
export function sharedLayers(layers: readonly string[], images: readonly ImageInspectInfo[]): number | null {
  return Math.max(0, ...images.map(({ RootFS }) => sharedStart(layers, RootFS.Layers ?? []))) || null;
}

/** An engine keeps a layer together with all below it (layer-store.ts, `chainIds`): only a common start counts. */
function sharedStart(some: readonly string[], others: readonly string[]): number {
  const differs = some.findIndex((layer, at) => layer !== others[at]);
  return differs === -1 ? some.length : differs;
}
