/**
 * Step 2, analyze: from the checkout to a build plan with evidence; for a rebuild, the plan of the release. Only reads.
 */
import type { BuildPlan, Release } from '../../../protocol/steps.ts';
import { planInProcess } from '../../detect/analysis.ts';
import { describePlan } from '../../detect/describe.ts';
import type { PlanRequest } from '../../detect/index.ts';
import { VERSION } from '../../lib/version.ts';
import { boundedPlan } from '../plan-size.ts';
import { askedPort } from '../port.ts';
import type { StepLog } from '../ports.ts';
import type { Step } from '../step.ts';

export const analyze: Step<'analyze'> = {
  name: 'analyze',

  async run({ job, ports, log, signal }) {
    // A rebuild repeats what was released: the same Dockerfile, whatever today's detectors would write.
    if (job.kind === 'rollback') return keptPlan(job.release, log);
    const { settings } = job;
    const request: PlanRequest = {
      checkout: ports.workspaces.checkoutDirectory(job.deploymentId),
      rootDirectory: settings.rootDirectory,
      settings,
      port: askedPort(job),
      variables: job.env,
      capabilities: settings.capabilities,
      surroundings: {
        baseImages: ports.baseImages,
        isMadeHere: (image) => ports.images.isMadeHere(image),
        cacheScope: job.project.id,
      },
    };
    const found = await planInProcess(request, signal);
    const plan = boundedPlan(found);
    for (const line of describePlan(plan)) log.line(line);
    return { ...plan, detectorVersion: VERSION };
  },
};

function keptPlan({ deploymentId, plan }: Release, log: StepLog): BuildPlan {
  const by = plan.detectorVersion === undefined ? 'an older version' : `version ${plan.detectorVersion}`;
  const ours = plan.detectorVersion === VERSION ? '' : `; this agent is version ${VERSION}`;
  log.line(`using the plan of deployment ${deploymentId}, made by ${by}${ours}`);
  return plan;
}
