/** The build job: the steps up to an image in its registry. Another host does the rest. */
import type { ReleaseJob } from '../../protocol/job.ts';
import { isStepOfABuild } from '../../protocol/steps.ts';
import { transition } from './deployment.ts';
import type { AnyStage, Pipeline } from './pipeline.ts';
import { reportOf } from './run.ts';
import type { Run } from './run.ts';

/** The stages that a job goes through. */
export const stagesOf = ({ stages }: Pipeline, { kind }: Pick<ReleaseJob, 'kind'>): readonly AnyStage[] =>
  kind === 'build' ? stages.filter(({ step }) => isStepOfABuild(step.name)) : stages;

/** Ends a build job. This host needs nothing of it any more. */
export async function handOn({ parts, job }: Run): Promise<void> {
  const { deploymentId } = job;
  try {
    await parts.ports.workspaces.remove(deploymentId);
  } catch (error) {
    // Reconcile removes the workspaces of ended deployments; what counts is the image.
    parts.log.warn({ err: error, deploymentId }, 'the workspace of a build was not removed');
  }
  parts.journal.record({
    deploymentId,
    state: transition('running', 'hand-on'),
    report: reportOf(parts, job, 'built'),
  });
}
