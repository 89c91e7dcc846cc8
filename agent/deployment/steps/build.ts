/**
 * Step 3, build: the image, in the sandbox, handed to the host's engine. A rollback whose image is still on the host does
 * not come here: the runner takes the output from the release.
 */
import { join } from 'node:path';
import type { Step } from '../step.ts';
import { names } from '../step.ts';
import { ownerOf } from '../owner.ts';

export const build: Step<'build'> = {
  name: 'build',

  async run({ job, output, ports, log, signal }) {
    const plan = output('analyze');
    const { committedAt } = output('clone');
    const image = await ports.builder.build({
      owner: ownerOf(job),
      reference: names.image(job.environment.id, job.deploymentId),
      contextDirectory: join(ports.workspaces.checkoutDirectory(job.deploymentId), plan.rootDirectory),
      plan,
      ...(committedAt !== undefined && { modifiedAt: new Date(committedAt) }),
      ...(job.kind === 'rollback' && { again: job.release }),
      limits: job.settings.build,
      buildHosts: job.settings.buildHosts,
      secrets: job.buildSecrets,
      registries: job.registries,
      log,
      signal,
    });
    log.line(`image ${image.id}`);
    return image;
  },

  async undo({ job, ports }) {
    const image = await ports.images.find(names.image(job.environment.id, job.deploymentId));
    if (image === null) return;
    // A build without any change gives the image of an earlier deployment again: then it is that one's.
    const all = await ports.images.list(job.environment.id);
    if (all.some(({ id, deploymentId }) => id === image.id && deploymentId !== job.deploymentId)) return;
    await ports.images.remove(image.id);
  },
};
