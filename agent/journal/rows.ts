/** Converts rows of the journal's tables to the domain's records, and a step to its report. */
import type { Report } from '../../protocol/agent-link.ts';
import { ReadErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { HealthCheck } from '../../protocol/job.ts';
import { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { StepName } from '../../protocol/steps.ts';
import { Release } from '../../protocol/steps.ts';
import type { DeploymentState } from '../deployment/deployment.ts';
import type { JobRecord, LiveRecord, StepRecord } from '../deployment/records.ts';

export interface JobRow {
  deployment_id: string;
  environment_id: string;
  project_id: string;
  generation: number;
  kind: Job['kind'];
  payload: string;
  state: DeploymentState;
  previous_id: string | null;
  cancel_requested: number;
  error: string | null;
  final: string | null;
}

export interface StepRow {
  deployment_id: string;
  name: StepName;
  state: StepRecord['state'];
  output: string | null;
  note: string | null;
  error: string | null;
  started_at: string;
  ms: number | null;
  undone: number;
  starts: number;
}

export interface LiveRow {
  environment_id: string;
  project_id: string;
  deployment_id: string;
  entry: string;
  health_check: string | null;
  release: string | null;
}

export const jobFromRow = (row: JobRow): JobRecord => ({
  deploymentId: row.deployment_id,
  environmentId: row.environment_id,
  projectId: row.project_id,
  generation: row.generation,
  kind: row.kind,
  state: row.state,
  previousId: row.previous_id,
  cancelRequested: row.cancel_requested === 1,
  error: row.error === null ? null : ReadErrorReport.parse(JSON.parse(row.error)),
});

export const stepFromRow = (row: StepRow): StepRecord => ({
  name: row.name,
  state: row.state,
  output: row.output === null ? null : (JSON.parse(row.output) as unknown),
  note: row.note,
  error: row.error === null ? null : ReadErrorReport.parse(JSON.parse(row.error)),
  startedAt: row.started_at,
  ms: row.ms,
  undone: row.undone === 1,
  starts: row.starts,
});

export const liveFromRow = (row: LiveRow): LiveRecord => ({
  environmentId: row.environment_id,
  projectId: row.project_id,
  deploymentId: row.deployment_id,
  entry: UpstreamEntry.parse(JSON.parse(row.entry)),
  healthCheck: row.health_check === null ? null : HealthCheck.parse(JSON.parse(row.health_check)),
  release: row.release === null ? null : Release.parse(JSON.parse(row.release)),
});

/** The report of a step for the hub. */
export const stepReport = (deploymentId: string, step: StepRecord): Report => ({
  kind: 'step',
  deploymentId,
  step: step.name,
  status: step.state === 'begun' ? 'running' : step.state,
  startedAt: step.startedAt,
  ms: step.ms,
  ...(step.output !== null && step.output !== undefined && { output: step.output }),
  ...(step.note !== null && { note: step.note }),
  ...(step.error !== null && { error: step.error }),
});
