/** From a stored deployment to the job that its host gets. */
import { JOB_VERSION, type Job, type Settings, type Source } from '../../protocol/job.ts';
import { EnvVars } from '../../protocol/ids.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import type { CoreDeps } from '../deps.ts';
import { makeCloneToken } from '../git/clone-token.ts';
import { overPlan, type Plan, planOf, withinPlan } from '../plans.ts';
import type { Db } from '../store/database.ts';
import { type DeploymentContext, findDeployment } from '../store/deployments.ts';
import { readSettings } from '../store/environments.ts';
import { openRepositoryAuth } from '../store/projects.ts';
import { findRelease } from '../store/releases.ts';
import type { Row } from '../store/schema.ts';
import { getTeam } from '../store/teams.ts';
import { openVariables } from '../store/variables.ts';

/** The job of a deployment whose variables are fixed already. Made anew each time it is sent: it carries a fresh clone token. */
export async function makeJob(deps: CoreDeps, context: DeploymentContext): Promise<Job> {
  const { deployment, environment, project } = context;
  const plan = planOf(await getTeam(deps.db, project.team_id));
  const common = {
    version: JOB_VERSION as typeof JOB_VERSION,
    deploymentId: deployment.id,
    generation: deployment.generation,
    hostId: environment.host_id,
    issuedAt: deps.clock.now().toISOString(),
    project: { id: project.id, slug: project.slug },
    environment: { id: environment.id, slug: environment.slug },
    source: sourceOf(deps, context),
    commit: deployment.commit,
    settings: settingsWithin(deps, environment, plan),
    env: openFixedVariables(deps.sealer, deployment),
    keepImages: plan.keepImages,
  };
  if (deployment.kind === 'deploy') return { ...common, kind: 'deploy' };
  const release = deployment.release_of === null ? null : await findRelease(deps.db, deployment.release_of);
  if (release === null) throw new OrkestrError('ORK_CONFLICT', 'The release to go back to is not there any more.');
  return { ...common, kind: 'rollback', release };
}

/** The settings of an environment. A team may have moved to a smaller plan since they were set. */
function settingsWithin({ log }: CoreDeps, environment: Row<'environment'>, plan: Plan): Settings {
  const settings = readSettings(environment);
  const over = overPlan(settings.build, plan);
  if (over.length > 0)
    log.warn({ environmentId: environment.id, over }, 'limits of the build lowered to those of the plan');
  return { ...settings, build: withinPlan(settings.build, plan) };
}

/** The job that takes a deleted environment off its host. */
export function makeRemoveJob(removal: Row<'removal'>, now: Date): Job {
  return {
    kind: 'remove',
    version: JOB_VERSION,
    deploymentId: removal.id,
    generation: removal.generation,
    hostId: removal.host_id,
    issuedAt: now.toISOString(),
    project: { id: removal.project_id, slug: removal.project_slug },
    environment: { id: removal.environment_id, slug: removal.environment_slug },
  };
}

/** The variables that a deployment is to run with, from now on the same whatever is changed. Written when it is sent first. */
export async function fixVariables(
  db: Db,
  sealer: Sealer,
  deployment: Row<'deployment'>,
): Promise<{ readonly env: string; readonly env_version: number }> {
  const { env, version } = await variablesFor(db, sealer, deployment);
  return { env: sealer.seal(JSON.stringify(env), sealContext(deployment.id)), env_version: version };
}

async function variablesFor(
  db: Db,
  sealer: Sealer,
  deployment: Row<'deployment'>,
): Promise<{ env: Record<string, string>; version: number }> {
  if (deployment.variables === 'release' && deployment.release_of !== null) {
    const released = await findDeployment(db, deployment.release_of);
    if (released !== undefined) return { env: openFixedVariables(sealer, released), version: released.env_version };
  }
  const { env_version: version } = await db
    .selectFrom('environment')
    .select('env_version')
    .where('id', '=', deployment.environment_id)
    .executeTakeFirstOrThrow();
  return { env: await openVariables(db, sealer, deployment.environment_id), version };
}

function openFixedVariables(sealer: Sealer, deployment: Row<'deployment'>): Record<string, string> {
  if (deployment.env === null) return {};
  return EnvVars.parse(JSON.parse(sealer.open(deployment.env, sealContext(deployment.id))));
}

function sourceOf(deps: CoreDeps, { deployment, project }: DeploymentContext): Source {
  if (project.origin === 'external' && project.repository_url !== null) {
    const auth = openRepositoryAuth(deps.sealer, project);
    return {
      origin: 'external',
      url: project.repository_url,
      branch: deployment.branch,
      ...(auth === undefined ? {} : { auth }),
    };
  }
  return {
    origin: 'hub',
    url: `${deps.hubUrl()}/git/${project.id}.git`,
    branch: deployment.branch,
    auth: {
      username: 'job',
      token: makeCloneToken(deps.sealer, { projectId: project.id, deploymentId: deployment.id }, deps.clock.now()),
    },
  };
}

const sealContext = (deploymentId: string): string => `deployment.env/${deploymentId}`;
