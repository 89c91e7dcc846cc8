/** `orkestr-agent run JOB.json`: one deployment without a hub, through the same runner. */
import { randomUUIDv7 } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { Job, JOB_VERSION } from '../../../protocol/job.ts';
import { makeLogger } from '../../../protocol/service/logger.ts';
import type { StepName } from '../../../protocol/steps.ts';
import { buildAgent } from '../../compose.ts';
import type { Agent } from '../../compose.ts';
import { readConfig } from '../../config.ts';
import type { DeploymentReport } from '../../deployment/records.ts';
import { localIdentity } from '../../identity/identity.ts';
import { systemClock } from '../../lib/clock.ts';

/** Adds `run`. */
export function addRunCommand(cli: Command): void {
  cli.command('run <job>').description('run one deployment from a job file, without a hub').action(runFile);
}

async function runFile(path: string): Promise<void> {
  const config = readConfig();
  const identity = localIdentity(config.stateFolder, systemClock.now());
  if (identity.hub !== null) {
    throw new OrkestrError('ORK_CONFLICT', `This host belongs to the hub ${identity.hub.url}: deploy through it.`);
  }
  // Progress goes to stderr, so that stdout has the result alone.
  const agent = await buildAgent(config, identity, makeLogger('agent', 'silent'));
  try {
    const job = readJob(
      path,
      identity.hostId,
      (environmentId) => agent.journal.nextGeneration(environmentId),
      systemClock.now(),
    );
    process.once('SIGINT', () => agent.dispatcher.cancel(job.deploymentId));
    const result = await runJob(agent, job, (text) => void process.stderr.write(text));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exitCode = result.ok ? 0 : 1;
  } finally {
    await agent.stop();
  }
}

interface LocalResult {
  readonly ok: boolean;
  readonly deployment: DeploymentReport;
  /** Duration of each step that ended, ms. */
  readonly ms: Readonly<Partial<Record<StepName, number>>>;
}

/**
 * Parses the job in `path`. Fields that a hub would set may be left out: ids of the deployment, its generation and the
 * host.
 * @throws OrkestrError ORK_INVALID naming the field
 */
function readJob(path: string, hostId: string, generation: (environmentId: string) => number, now: number): Job {
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

/** Accepts the job and waits for its end. Progress goes to `tell`, line by line or as raw log output. */
async function runJob(agent: Agent, job: Job, tell: (text: string | Buffer) => void): Promise<LocalResult> {
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
