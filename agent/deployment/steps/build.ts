/**
 * Step 3, build: the image, built in the sandbox, pushed to the registry if there is one, handed to the host's engine.
 * A rollback whose image is still available skips this step: the runner takes the output from the release.
 */
import { join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { ReleaseJob } from '../../../protocol/job.ts';
import { dropImages } from '../image.ts';
import type { Step } from '../step.ts';
import { names } from '../step.ts';
import { ownerOf } from '../owner.ts';

export const build: Step<'build'> = {
  name: 'build',

  async run({ job, output, ports, log, signal }) {
    const plan = output('analyze');
    const { commit, committedAt } = output('clone');
    const { registry } = job.settings;
    if (job.kind === 'build' && registry === undefined) {
      throw new OrkestrError(
        'ORK_BUILD_NOWHERE',
        'The image is for another host, but the environment has no registry.',
      );
    }
    for (const notice of job.notices) log.line(notice);
    const image = await ports.builder.build({
      owner: ownerOf(job),
      reference: names.image(job.environment.id, job.deploymentId),
      contextDirectory: join(ports.workspaces.checkoutDirectory(job.deploymentId), plan.rootDirectory),
      plan,
      ...(committedAt !== undefined && { revision: { commit, committedAt: new Date(committedAt) } }),
      ...(job.kind === 'rollback' && { again: job.release }),
      limits: job.settings.build,
      buildHosts: job.settings.buildHosts,
      secrets: job.buildSecrets,
      appVariables: Object.keys(job.env),
      registries: job.registries,
      ...(registry !== undefined && { push: { repository: registry, tag: tagOf(job) } }),
      forElsewhere: job.kind === 'build',
      log,
      signal,
    });
    log.line(`image ${image.id}`);
    return image;
  },

  undo: dropImages,
};

/** For people who look into the registry: the commit, and the end of the deployment id, which makes the tag unique. */
const tagOf = ({ commit, deploymentId }: ReleaseJob): string => `${commit.slice(0, 12)}-${deploymentId.slice(-12)}`;
