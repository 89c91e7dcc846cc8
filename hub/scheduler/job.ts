/** Builds the job for a host from a stored deployment. */
import { Built, type DeployJob, type Job, JOB_VERSION, type Source } from '../../protocol/job.ts';
import { EnvVars } from '../../protocol/ids.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { publicVariables } from '../../protocol/public-variables.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import { emptyCheckout, type Release } from '../../protocol/steps.ts';
import type { CoreDeps } from '../deps.ts';
import { makeCloneToken } from '../auth/clone-token.ts';
import type { Step } from '../model/step.ts';
import { overPlan, planOf, withinPlan } from '../plans.ts';
import type { Db } from '../store/database.ts';
import { type DeploymentContext, findDeployment } from '../store/deployments.ts';
import { readSettings } from '../store/environments.ts';
import { findHostById } from '../store/hosts.ts';
import { openRepositoryAuth } from '../store/projects.ts';
import { openRegistries } from '../store/registries.ts';
import { findRelease } from '../store/releases.ts';
import type { Row, VariableKind } from '../store/schema.ts';
import { listSteps } from '../store/steps.ts';
import { getTeam } from '../store/teams.ts';
import { openVariables } from '../store/variables.ts';

/**
 * The job of a deployment whose variables are already fixed. It is rebuilt for each send, with a fresh clone token.
 * @throws OrkestrError ORK_CONFLICT when its release is gone or no report says what was built; and errors of
 * decryption
 */
export async function makeJob(deps: CoreDeps, context: DeploymentContext): Promise<Job> {
  const { deployment, environment } = context;
  const job = await deployJob(deps, context);
  if (deployment.build_host_id !== null) {
    return deployment.host_id === environment.host_id
      ? serveJob(job, await findBuilt(deps.db, deployment.id))
      : {
          ...job,
          kind: 'build',
          env: variablesOfBuild(job.env),
          notices: [await whoBuilds(deps.db, context), ...job.notices],
        };
  }
  if (deployment.kind === 'deploy') return job;
  const release = deployment.release_of === null ? null : await findRelease(deps.db, deployment.release_of);
  if (release === null) throw new OrkestrError('ORK_CONFLICT', 'The release to roll back to no longer exists.');
  const host = await findHostById(deps.db, environment.host_id);
  return host?.builds === 0 ? serveJob(job, builtOf(release)) : { ...job, kind: 'rollback', release };
}

async function deployJob(deps: CoreDeps, context: DeploymentContext): Promise<DeployJob> {
  const { deployment, environment, project } = context;
  const plan = planOf(await getTeam(deps.db, project.team_id));
  const settings = readSettings(environment);
  return {
    version: JOB_VERSION,
    kind: 'deploy',
    deploymentId: deployment.id,
    generation: deployment.generation,
    hostId: deployment.host_id ?? environment.host_id,
    issuedAt: deps.clock.now().toISOString(),
    project: { id: project.id, slug: project.slug },
    environment: { id: environment.id, slug: environment.slug },
    source: sourceOf(deps, context),
    commit: deployment.commit,
    // The team may have moved to a smaller plan since the settings were saved.
    settings: { ...settings, build: withinPlan(settings.build, plan) },
    edgeRevision: environment.edge_revision,
    notices: overPlan(settings.build, plan).map((limit) => `${limit}: lowered to it`),
    env: openFixed(deps.sealer, deployment, 'env'),
    buildSecrets: openFixed(deps.sealer, deployment, 'build_secrets'),
    registries: await openRegistries(deps.db, deps.sealer, project.id),
    keepImages: plan.keepImages,
  };
}

async function whoBuilds(db: Db, { deployment, environment }: DeploymentContext): Promise<string> {
  const ids = [deployment.build_host_id ?? '', environment.host_id];
  const [builder, server] = await Promise.all(ids.map(async (id) => (await findHostById(db, id))?.name ?? id));
  return `${builder} builds it for ${server}`;
}

/** A builder on another host gets only those app variables that the build reads: the port and the public ones. */
const variablesOfBuild = (env: EnvVars): EnvVars => ({
  ...(env['PORT'] !== undefined && { PORT: env['PORT'] }),
  ...publicVariables(env),
});

/** The serving host gets neither the credentials of the repository nor the build secrets. */
function serveJob(job: DeployJob, built: Built): Job {
  const { auth: _, ...source } = job.source;
  return { ...job, kind: 'serve', source, commit: built.checkout.commit, buildSecrets: {}, built };
}

/** Collects what the building host reported in its steps. */
async function findBuilt(db: Db, deploymentId: string): Promise<Built> {
  const steps = await listSteps(db, deploymentId);
  const outputOf = (name: Step['name']): unknown => steps.find((step) => step.name === name)?.output;
  const built = Built.safeParse({
    checkout: outputOf('clone'),
    plan: outputOf('analyze'),
    image: outputOf('build'),
  });
  if (built.success) return built.data;
  throw new OrkestrError('ORK_CONFLICT', 'The host that built it did not report what it built.');
}

const builtOf = ({ deploymentId, commit, plan, image, foundPort }: Release): Built => ({
  checkout: emptyCheckout(commit),
  plan,
  image,
  releaseOf: deploymentId,
  foundPort,
});

/** The job that removes a deleted environment from its host. */
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

/** Columns of a deployment that hold its fixed variables, sealed. */
type FixedColumn = 'env' | 'build_secrets';

/** Fixes the variables and build secrets of a deployment when it is first sent: later changes do not affect it. */
export async function fixVariables(
  db: Db,
  sealer: Sealer,
  deployment: Row<'deployment'>,
  environment: Row<'environment'>,
): Promise<Record<FixedColumn, string> & { readonly env_version: number }> {
  const { env, buildSecrets, version } = await variablesFor(db, sealer, deployment, environment);
  const seal = (column: FixedColumn, variables: Variables): string =>
    sealer.seal(JSON.stringify(variables), sealContext(deployment.id, column));
  return { env: seal('env', env), build_secrets: seal('build_secrets', buildSecrets), env_version: version };
}

type Variables = Record<string, string>;

async function variablesFor(
  db: Db,
  sealer: Sealer,
  deployment: Row<'deployment'>,
  environment: Row<'environment'>,
): Promise<{ env: Variables; buildSecrets: Variables; version: number }> {
  if (deployment.variables === 'release' && deployment.release_of !== null) {
    const released = await findDeployment(db, deployment.release_of);
    if (released !== undefined) {
      const [env, buildSecrets] = [openFixed(sealer, released, 'env'), openFixed(sealer, released, 'build_secrets')];
      return { env, buildSecrets, version: released.env_version };
    }
  }
  const open = (kind: VariableKind): Promise<Variables> => openVariables(db, sealer, environment.id, kind);
  return { env: await open('app'), buildSecrets: await open('build'), version: environment.env_version };
}

function openFixed(sealer: Sealer, deployment: Row<'deployment'>, column: FixedColumn): Variables {
  const sealed = deployment[column];
  if (sealed === null) return {};
  return EnvVars.parse(JSON.parse(sealer.open(sealed, sealContext(deployment.id, column))));
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
      token: makeCloneToken(deps.sealer, { projectId: project.id, deploymentId: deployment.id }),
    },
  };
}

const sealContext = (deploymentId: string, column: FixedColumn): string => `deployment.${column}/${deploymentId}`;
