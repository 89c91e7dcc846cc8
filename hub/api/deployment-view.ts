/** Deployments as the API shows them. */
import type { HubDeps } from '../deps.ts';
import { environmentUrls } from '../domains.ts';
import { waitingFor } from '../scheduler/waiting.ts';
import { type DeploymentContext, isOpen } from '../store/deployments.ts';
import { readSettings } from '../store/environments.ts';
import { parseError } from '../store/events.ts';
import { findRelease } from '../store/releases.ts';
import { listSteps } from '../store/steps.ts';
import { consoleUrl } from '../console-url.ts';
import type { Deployment, DeploymentDetail } from './schemas.ts';

type ViewDeps = Pick<HubDeps, 'db' | 'config' | 'hubUrl' | 'agents'>;

export async function showDeployment(deps: ViewDeps, context: DeploymentContext): Promise<Deployment> {
  const { deployment, environment, project } = context;
  const reason = await waitingFor(deps.db, deps.agents, context);
  return {
    id: deployment.id,
    project: { id: project.id, slug: project.slug },
    environment: { id: environment.id, slug: environment.slug },
    kind: deployment.kind,
    trigger: deployment.trigger,
    status: deployment.status,
    generation: deployment.generation,
    commit: deployment.commit,
    branch: deployment.branch,
    releaseOf: deployment.release_of,
    variables: deployment.variables,
    replacedBy: deployment.replaced_by,
    error: parseError(deployment.error),
    ...(reason === undefined ? {} : { waitingFor: reason }),
    cancelRequested: isOpen(deployment) && deployment.cancel_requested === 1,
    detailsKept: deployment.details_kept === 1,
    urls: environmentUrls(readSettings(environment), deps.config.appsUrl),
    consoleUrl: consoleUrl(deps.hubUrl(), deployment.id),
    createdAt: deployment.created_at,
    startedAt: deployment.started_at,
    finishedAt: deployment.finished_at,
  };
}

export async function showDeploymentDetail(deps: ViewDeps, context: DeploymentContext): Promise<DeploymentDetail> {
  const { id } = context.deployment;
  return {
    ...(await showDeployment(deps, context)),
    steps: await listSteps(deps.db, id),
    release: await findRelease(deps.db, id),
  };
}
