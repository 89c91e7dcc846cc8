/**
 * Step 7, finalize: the deployment is live. Sets its restart policy, stops and removes what it supersedes, prunes
 * images, removes the workspace. Comes after the point of no return, so there is no undo: it is called again until it
 * is done.
 */
import { toErrorReport } from '../../../protocol/errors.ts';
import { retire } from '../last-words.ts';
import { portToRemember } from '../port.ts';
import type { OwnedImage } from '../ports.ts';
import type { Step, StepContext } from '../step.ts';
import { names } from '../step.ts';

export const finalize: Step<'finalize'> = {
  name: 'finalize',

  async run(context) {
    const { job, output, previous, ports } = context;
    await ports.containers.keepRunning(names.container(job.deploymentId));
    await removeSuperseded(context);
    const prunedImages = await prune(context);
    await ports.workspaces.remove(job.deploymentId);
    return {
      deploymentId: job.deploymentId,
      commit: job.commit,
      plan: output('analyze'),
      image: { ...output('build'), id: imageIdOf(context) },
      liveAt: new Date(ports.clock.now()).toISOString(),
      supersedes: previous === null || previous.deploymentId === job.deploymentId ? null : previous.deploymentId,
      foundPort: portToRemember(output('deploy'), output('health')),
      prunedImages,
    };
  },
};

/** Removes all other containers of the environment: the previous deployment's, and any that a crash left before it. */
async function removeSuperseded(context: StepContext): Promise<void> {
  const { job, ports, log } = context;
  for (const { name, environmentId, deploymentId } of await ports.containers.list()) {
    if (environmentId !== job.environment.id || deploymentId === job.deploymentId) continue;
    log.line(`stopping ${name}, at most ${job.settings.stopGraceSeconds} s`);
    await retire(context, name, job.settings.stopGraceSeconds);
  }
}

/** The id of the image on this host. */
const imageIdOf = ({ output }: StepContext): string => output('deploy').imageId ?? output('build').id;

/**
 * Removes images beyond the plan's number and returns their ids. The engine refuses to remove an image in use, which
 * stays. If it fails to remove one, that does not fail a deployment that serves: the next one tries again.
 */
async function prune(context: StepContext): Promise<string[]> {
  const { job, ports, log } = context;
  const pruned: string[] = [];
  const images = newestFirst(await ports.images.list(job.environment.id), context);
  for (const id of surplus(images, imageIdOf(context), job.keepImages)) {
    try {
      if (!(await ports.images.remove(id))) continue;
      log.line(`removed image ${id}`);
      pruned.push(id);
    } catch (error) {
      log.line(`image ${id} could not be removed: ${toErrorReport(error).message}`);
    }
  }
  return pruned;
}

/** The store sorts by deployment id, which depends on the hub's clock: the clock may have been ahead for a time. */
const newestFirst = (images: readonly OwnedImage[], { generationOf }: StepContext): readonly OwnedImage[] =>
  images.toSorted((a, b) => (generationOf(b.deploymentId) ?? 0) - (generationOf(a.deploymentId) ?? 0));

/**
 * Ids beyond the `keep` that stay: the live one, whatever its age, and the newest of the others. Counted by id, because
 * a build without changes gives one image two names.
 */
export const surplus = (newestFirst: readonly OwnedImage[], live: string, keep: number): string[] =>
  [...new Set([live, ...newestFirst.map(({ id }) => id)])].slice(keep);
