/** Step 2, analyze: from the checkout to a build plan with its evidence. Only reads; nothing to undo. */
import { describePlan } from '../../detect/describe.ts';
import { planBuild } from '../../detect/index.ts';
import { askedPort } from '../port.ts';
import type { Step } from '../step.ts';

export const analyze: Step<'analyze'> = {
  name: 'analyze',

  async run({ job, ports, log }) {
    const { settings } = job;
    const plan = await planBuild({
      checkout: ports.workspaces.checkoutDirectory(job.deploymentId),
      rootDirectory: settings.rootDirectory,
      settings,
      port: askedPort(job),
      surroundings: {
        baseImages: ports.baseImages,
        isMadeHere: (image) => ports.images.isMadeHere(image),
        cacheScope: job.project.id,
      },
    });
    for (const line of describePlan(plan)) log.line(line);
    return plan;
  },
};
