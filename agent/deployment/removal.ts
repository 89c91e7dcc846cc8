/** The remove job: removes everything of an environment from the host. Can run again: any part may be gone already. */
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { RemoveJob } from '../../protocol/job.ts';
import { attempt } from './attempt.ts';
import { transition } from './deployment.ts';
import type { DeploymentState } from './deployment.ts';
import type { DeploymentJournal, JobRecord } from './records.ts';
import { Interrupted, reportOf } from './run.ts';
import type { RunnerParts, RunSignals } from './run.ts';
import { names } from './step.ts';

const REMOVE_SECONDS = 600;
const GRACE_SECONDS = 10;

/** Runs the job to its end and records it, success or failure. @throws Interrupted if the agent stops meanwhile */
export async function removeEnvironment(
  parts: RunnerParts,
  record: JobRecord,
  job: RemoveJob,
  { shutdown }: RunSignals,
): Promise<void> {
  const { journal, ports } = parts;
  const { deploymentId } = job;
  const running: DeploymentState = record.state === 'queued' ? transition('queued', 'start') : record.state;
  if (record.state === 'queued')
    journal.record({ deploymentId, state: running, report: reportOf(parts, job, 'running') });
  try {
    await attempt({
      act: async () => removeAll(parts, job),
      limitMs: REMOVE_SECONDS * 1000,
      timeoutError: (last) =>
        new OrkestrError('ORK_ENGINE_TIMEOUT', `The environment was not removed within ${REMOVE_SECONDS} s.`, {
          evidence: [toErrorReport(last).message],
          cause: last,
        }),
      signal: shutdown,
      clock: ports.clock,
      random: parts.random,
      onRetry: (error, waitMs) => parts.log.warn({ err: error, waitMs, deploymentId }, 'removing an environment'),
    });
  } catch (error) {
    if (shutdown.aborted) throw new Interrupted();
    const told = toErrorReport(error);
    const report = reportOf(parts, job, 'failed', { error: told });
    journal.record({ deploymentId, state: transition(running, 'fail-forward'), error: told, report });
    return;
  }
  const report = reportOf(parts, job, 'superseded');
  journal.record({ deploymentId, state: transition(running, 'supersede'), report });
}

/** The route goes first, so that no request reaches a container that is being stopped. */
async function removeAll({ journal, ports }: RunnerParts, job: RemoveJob): Promise<void> {
  const { environment, project } = job;
  await ports.proxy.remove(environment.id);
  forgetLive(journal, job);
  for (const container of await ports.containers.list()) {
    if (container.environmentId !== environment.id) continue;
    await ports.containers.stopAndRemove(container.name, GRACE_SECONDS);
    await ports.workspaces.remove(container.deploymentId);
  }
  for (const image of await ports.images.list(environment.id)) await ports.images.remove(image.id);
  // Other environments of the project may still use it.
  const left = await ports.containers.list();
  if (!left.some((container) => container.projectId === project.id)) {
    await ports.containers.removeNetwork(names.network(project.id));
  }
}

/** As soon as visitors are gone, so that nothing revives the app if the rest of the removal fails. */
function forgetLive(journal: DeploymentJournal, { deploymentId, environment }: RemoveJob): void {
  const live = journal.live(environment.id);
  const served = live === null ? null : journal.job(live.deploymentId);
  journal.record({
    deploymentId,
    notLive: environment.id,
    superseded: served?.state === 'live' || served?.state === 'failed' ? [served.deploymentId] : [],
  });
}
