/** Step 1, clone: the exact commit into this deployment's own folder. */
import type { Step } from '../step.ts';
import { mustBeFree } from '../taken-routes.ts';

export const clone: Step<'clone'> = {
  name: 'clone',

  async run(context) {
    const { job, ports, log, signal } = context;
    await mustBeFree(context);
    // The build engine starts while the code is fetched.
    ports.builder.warm({ environmentId: job.environment.id, limits: job.settings.build, log });
    const directory = ports.workspaces.checkoutDirectory(job.deploymentId);
    const { source, commit } = job;
    const checkout = await ports.sourceControl.checkout({ source, commit, directory, log, signal });
    log.line(`${checkout.commit.slice(0, 12)} "${checkout.subject}" by ${checkout.author}`);
    log.line(`${checkout.files} files, ${checkout.bytes} bytes`);
    return checkout;
  },

  async undo({ job, ports }) {
    await ports.workspaces.remove(job.deploymentId);
  },
};
