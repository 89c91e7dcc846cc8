/** Projects and environments as the API shows them. */
import { ErrorReport } from '../../protocol/errors.ts';
import type { HubDeps } from '../deps.ts';
import { environmentUrls } from '../domains.ts';
import { downApps } from '../store/down-apps.ts';
import { latestDeployments, listEnvironments, liveDeployments, readSettings } from '../store/environments.ts';
import { failingCertificates } from '../store/failing-certificates.ts';
import type { Row } from '../store/schema.ts';
import { downStateOf } from './down-state.ts';
import { edgeStateOf } from './edge-state.ts';
import { showSettings } from './edge-users.ts';
import type { Environment, Project } from './schemas.ts';

type ViewDeps = Pick<HubDeps, 'db' | 'config' | 'hubUrl' | 'agents'>;

/** In the order of `projects`, each with its environments, oldest first. The number of queries is constant. */
export async function showProjects(deps: ViewDeps, projects: readonly Row<'project'>[]): Promise<Project[]> {
  const rows = await listEnvironments(
    deps.db,
    projects.map(({ id }) => id),
  );
  const environments = await showEnvironments(deps, rows);
  const ofProject = Map.groupBy(rows, (row) => row.project_id);
  const views = new Map(environments.map((environment) => [environment.id, environment]));
  return projects.map((project) => ({
    id: project.id,
    slug: project.slug,
    origin: project.origin,
    repositoryUrl: project.repository_url,
    hasRepositoryToken: project.repository_auth !== null,
    gitRemote: project.origin === 'hub' ? `${deps.hubUrl()}/git/${project.slug}.git` : null,
    environments: (ofProject.get(project.id) ?? []).flatMap(({ id }) => views.get(id) ?? []),
    createdAt: project.created_at,
  }));
}

export async function showProject(deps: ViewDeps, project: Row<'project'>): Promise<Project> {
  const [view] = await showProjects(deps, [project]);
  if (view === undefined) throw new Error('One project in, one view out.');
  return view;
}

export async function showEnvironment(deps: ViewDeps, row: Row<'environment'>): Promise<Environment> {
  const [view] = await showEnvironments(deps, [row]);
  if (view === undefined) throw new Error('One environment in, one view out.');
  return view;
}

async function showEnvironments(deps: ViewDeps, rows: readonly Row<'environment'>[]): Promise<Environment[]> {
  const ids = rows.map(({ id }) => id);
  const live = await liveDeployments(deps.db, ids);
  const latest = await latestDeployments(deps.db, ids);
  const failing = await failingCertificates(deps.db, ids);
  const down = await downApps(deps.db, ids);
  return rows.map((row) => {
    const settings = readSettings(row);
    return {
      id: row.id,
      slug: row.slug,
      branch: row.branch,
      hostId: row.host_id,
      settings: showSettings(settings),
      edge: edgeStateOf(row, live.has(row.id), deps.agents),
      urls: environmentUrls(settings, deps.config.appsUrl),
      certificates: (failing.get(row.id) ?? []).map(showCertificate),
      liveDeploymentId: live.get(row.id) ?? null,
      down: downStateOf(down.get(row.id), live.get(row.id)),
      latestDeployment: showLatest(latest.get(row.id)),
      createdAt: row.created_at,
    };
  });
}

const showCertificate = ({ host, error, not_after, since }: Row<'failing_certificate'>) => ({
  host,
  error: ErrorReport.parse(JSON.parse(error)),
  notAfter: not_after,
  since,
});

type Latest = Awaited<ReturnType<typeof latestDeployments>> extends Map<string, infer T> ? T : never;

/** The latest deployment, in the form that environments show. */
export const showLatest = (deployment: Latest | undefined): Environment['latestDeployment'] =>
  deployment === undefined
    ? null
    : {
        id: deployment.id,
        status: deployment.status,
        commit: deployment.commit,
        createdAt: deployment.created_at,
      };
