/** The image of a deployment on this host: built or kept here, or else pulled from its registry. */
import type { ReleaseJob } from '../../protocol/job.ts';
import type { StepContext } from './step.ts';
import { ownerOf } from './owner.ts';

/** How long a push or a pull may take, seconds. */
export const REGISTRY_SECONDS = 900;

/** Whether the image may come from a registry instead of a build of this deployment. */
export const mayPull = (job: ReleaseJob): boolean =>
  job.kind === 'serve' || (job.kind === 'rollback' && job.release.image.registryReference !== undefined);

/** Makes sure that this host has the image. Returns its id here. */
export async function ensureImage({ job, output, ports, log, signal }: StepContext): Promise<string> {
  const image = output('build');
  // The image was built or found here a moment ago.
  if (image.registryReference === undefined && job.kind !== 'serve') return image.id;
  if ((await ports.images.find(image.id)) !== null) return image.id;
  const { registries } = job;
  return ports.registry.pull({ owner: ownerOf(job), image, registries, log, signal });
}

/** Removes this deployment's images that no other one uses: a build without changes yields an earlier image again. */
export async function dropImages({ job, ports }: StepContext): Promise<void> {
  const all = await ports.images.list(job.environment.id);
  const isOfOther = (id: string): boolean =>
    all.some((other) => other.id === id && other.deploymentId !== job.deploymentId);
  const own = new Set(all.filter(({ deploymentId }) => deploymentId === job.deploymentId).map(({ id }) => id));
  for (const id of own) if (!isOfOther(id)) await ports.images.remove(id);
}
