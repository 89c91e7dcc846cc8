/** Resumes a deployment after a restart of the agent, and perhaps of the machine. */
import { contextOf } from './run.ts';
import type { Run } from './run.ts';

/**
 * A reboot stops containers that have not taken over yet, so both steps run again. Past the flip, cutover handles it.
 */
export async function repeatStepsIfStopped(run: Run): Promise<void> {
  const { parts, job, outputs, signals } = run;
  const isCuttingOver = parts.journal.steps(job.deploymentId).some(({ name }) => name === 'cutover');
  if (!outputs.has('deploy') || isCuttingOver) return;
  const log = parts.logs.open(job.deploymentId, 'deploy', run.secrets);
  try {
    if (await parts.pipeline.isTargetUp(contextOf(run, log, signals.shutdown))) return;
    log.line('the container does not run where it did before the agent was restarted');
  } finally {
    log.close();
  }
  for (const name of ['deploy', 'health'] as const) outputs.delete(name);
}
