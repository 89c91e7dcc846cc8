/** `orkestr-agent run JOB.json`: one deployment without a hub, through the same runner. */
import { randomUUIDv7 } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OrkestrError } from '../protocol/errors.ts';
import { Job, JOB_VERSION } from '../protocol/job.ts';
import type { StepName } from '../protocol/steps.ts';
import type { Agent } from './compose.ts';
import type { DeploymentReport } from './deployment/records.ts';

export interface LocalResult {
  readonly ok: boolean;
  readonly deployment: DeploymentReport;
  /** Duration of each step that ended, ms. */
  readonly ms: Readonly<Partial<Record<StepName, number>>>;
}

/**
 * The job in `path`. What a hub would set may be left out: ids of the deployment, its generation and the host.
 * @throws OrkestrError ORK_INVALID naming the field
 */
export function readJob(path: string, hostId: string, generation: (environmentId: string) => number, now: number): Job {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new OrkestrError('ORK_INVALID', `${path} is not a readable JSON file.`, { cause });
  }
  const environment = (body['environment'] as { id?: unknown } | undefined)?.id;
  const job = Job.safeParse({
    version: JOB_VERSION,
    deploymentId: randomUUIDv7(),
    generation: typeof environment === 'string' ? generation(environment) : 1,
    issuedAt: new Date(now).toISOString(),
    ...body,
    hostId,
  });
  if (job.success) return job.data;
  const [issue] = job.error.issues;
  throw new OrkestrError('ORK_INVALID', `${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}.`);
}

/** Accepts the job and goes with it to its end. Progress goes to `tell`, line by line or as raw log output. */
export async function runJob(agent: Agent, job: Job, tell: (text: string | Buffer) => void): Promise<LocalResult> {
  const ms: Partial<Record<StepName, number>> = {};
  let final: DeploymentReport | null = null;
  const ended = Promise.withResolvers<void>();
  const stop = agent.takeReports((report) => {
    if (report.deploymentId !== job.deploymentId) return;
    switch (report.kind) {
      case 'log':
        return tell(report.bytes);
      case 'step':
        if (report.ms !== null) ms[report.step] = report.ms;
        return tell(`-- ${report.step}: ${report.status}${report.note === undefined ? '' : ` (${report.note})`}\n`);
      case 'deployment':
        if (report.status === 'running') return;
        final = report;
        ended.resolve();
    }
  });
  agent.dispatcher.resume();
  agent.dispatcher.accept(job);
  await ended.promise;
  stop();
  const deployment = final as DeploymentReport | null;
  if (!deployment) throw new OrkestrError('ORK_INTERNAL', 'The deployment ended without a report.');
  return { ok: deployment.status === 'live' || deployment.status === 'superseded', deployment, ms };
}
