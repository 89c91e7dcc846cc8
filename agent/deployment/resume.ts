/** A deployment that goes on after the agent was restarted, on a machine that may have been, too. */
import { contextOf } from './run.ts';
import type { Run } from './run.ts';

/** A reboot stops what has not taken over yet: then it is deployed and probed once more. Past the flip cutover sees to it. */
export async function startAgainWhatFell(run: Run): Promise<void> {
  const { parts, job, outputs, signals } = run;
  const isCuttingOver = parts.journal.steps(job.deploymentId).some(({ name }) => name === 'cutover');
  if (!outputs.has('deploy') || isCuttingOver) return;
  const log = parts.logs.open(job.deploymentId, 'deploy', run.secrets);
  try {
    if (await parts.pipeline.stands(contextOf(run, log, signals.shutdown))) return;
    log.line('the container does not run where it did before the agent was restarted');
  } finally {
    log.close();
  }
  for (const name of ['deploy', 'health'] as const) outputs.delete(name);
}
