/** Step 2, analyze: from the checkout to a build plan with its evidence. Only reads; nothing to undo. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { planBuild } from '../../detect/index.ts';
import { askedPort } from '../port.ts';
import type { StepLog } from '../ports.ts';
import type { Step } from '../step.ts';

export const analyze: Step<'analyze'> = {
  name: 'analyze',

  async run({ job, ports, log }) {
    const { settings } = job;
    const checkout = ports.workspaces.checkoutDirectory(job.deploymentId);
    const plan = await planBuild({
      directory: await contextDirectory(checkout, settings.rootDirectory),
      rootDirectory: settings.rootDirectory,
      settings,
      port: askedPort(job),
      surroundings: { baseImages: ports.baseImages, cacheScope: job.project.id },
    });
    logPlan(plan, log);
    return plan;
  },
};

/**
 * The folder of the build context inside a checkout.
 * @throws OrkestrError ORK_ROOT_MISSING when it is not there or not a folder, ORK_REPO_UNSAFE when a link is on the way
 */
async function contextDirectory(checkout: string, rootDirectory: string): Promise<string> {
  let directory = checkout;
  for (const part of rootDirectory.split('/')) {
    directory = join(directory, part);
    const entry = await lstat(directory).catch((error: NodeJS.ErrnoException) => {
      // Absent is an answer here, and the message below says so; anything else is not expected.
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (entry?.isSymbolicLink()) {
      throw new OrkestrError('ORK_REPO_UNSAFE', `The root directory ${rootDirectory} leads through a link.`);
    }
    if (!entry?.isDirectory()) {
      throw new OrkestrError('ORK_ROOT_MISSING', `The repository has no folder ${rootDirectory} at this commit.`);
    }
  }
  return directory;
}

function logPlan(plan: BuildPlan, log: StepLog): void {
  log.line(`${plan.framework} (${plan.runtime}), detected as ${plan.detector}`);
  for (const { subject, value, from } of plan.evidence) log.line(`${subject}: ${value} (${from})`);
  for (const warning of plan.warnings) log.line(`warning: ${warning}`);
  const { origin, path, text } = plan.dockerfile;
  if (origin === 'repository') {
    log.line(`building the repository's own ${path}`);
    return;
  }
  log.line('generated Dockerfile:');
  for (const line of text.trimEnd().split('\n')) log.line(`  ${line}`);
}
