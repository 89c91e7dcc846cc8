/** Base images that this host made itself for generated Dockerfiles (agent/base-images). */
import { removeUnusedImage } from '../docker/remove.ts';
import type { Engine } from '../lib/engine.ts';
import { LABEL } from '../lib/labels.ts';

/**
 * Keeps one on which another image is based, or that somebody gave a name.
 * @returns how many are gone, for people
 * @throws OrkestrError and errors of the engine; a later call goes on with the rest
 */
export async function removeBaseImages(engine: Engine): Promise<string> {
  const filters = { label: [LABEL.baseRecipe] };
  const images = await engine.call('list base images', (docker, abortSignal) =>
    docker.listImages({ filters, abortSignal }),
  );
  let kept = 0;
  for (const { Id } of images) if (!(await removeUnusedImage(engine, Id))) kept += 1;
  return `${images.length - kept} removed${kept > 0 ? `, ${kept} in use by others` : ''}`;
}
