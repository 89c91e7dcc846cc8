/** Notices about deployments that have ended. */
import type { ErrorReport } from '../../protocol/errors.ts';
import type { StepName } from '../../protocol/steps.ts';
import type { NoticeKind } from '../model/notice.ts';
import type { Db } from '../store/database.ts';
import { type DeploymentContext, findContext, outcomeBefore } from '../store/deployments.ts';
import { hasFailed, parseError } from '../store/events.ts';
import { listHearing } from '../store/receivers.ts';
import type { Row } from '../store/schema.ts';
import { findFailedStep } from '../store/steps.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/**
 * Call it after a deployment went live or failed, in the same transaction.
 * @param before the deployment before the change
 * @param now when the hub learned of it
 */
export async function notifyOfDeployment(trx: Db, before: Row<'deployment'>, now: string): Promise<void> {
  const context = await findContext(trx, before.id);
  if (context === undefined) return;
  const { deployment, environment, project } = context;
  const audience = { teamId: project.team_id, projectIds: [project.id] };
  if ((await listHearing(trx, audience)).length === 0) return;
  const error = parseError(deployment.error);
  const kind = await kindOf(trx, before, deployment, error);
  if (kind === undefined) return;
  const { id, commit, branch, trigger } = deployment;
  const step = error === null ? null : await findFailedStep(trx, id);
  await queueNotice(trx, audience, {
    kind,
    at: now,
    summary: summaryOf(kind, context, step),
    project: { id: project.id, slug: project.slug },
    environment: { id: environment.id, slug: environment.slug },
    deployment: { id, commit, branch, trigger, step },
    error: error === null ? null : errorOf(error),
    path: `/deployments/${id}`,
  });
}

async function kindOf(
  trx: Db,
  before: Row<'deployment'>,
  { status }: Row<'deployment'>,
  error: ErrorReport | null,
): Promise<NoticeKind | undefined> {
  if (status === 'failed') return error?.code === 'ORK_APP_REGRESSED' ? 'deployment.reverted' : 'deployment.failed';
  if (status !== 'live') return undefined;
  // This deployment was given up while its host was offline, but is live after all.
  if (before.status === 'failed' || (await hasFailed(trx, before.id))) return 'deployment.recovered';
  return (await outcomeBefore(trx, before)) === 'failed' ? 'deployment.recovered' : 'deployment.live';
}

function summaryOf(kind: NoticeKind, { environment, project }: DeploymentContext, step: StepName | null): string {
  const place = `${project.slug}/${environment.slug}`;
  if (kind === 'deployment.failed') return `${place}: the deployment failed${step === null ? '' : ` at ${step}`}`;
  if (kind === 'deployment.reverted') return `${place}: the new version went bad, the old one serves again`;
  if (kind === 'deployment.recovered') return `${place}: live again after a failure`;
  return `${place}: a new version is live`;
}
