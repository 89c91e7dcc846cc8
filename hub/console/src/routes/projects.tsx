/** All projects, each environment with what serves there and what happened last. */
import type { Deployment, Environment, Project } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { apiPath, call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { PageHead } from '../components/layout.tsx';
import { ApiProblem } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { Age } from '../components/time.tsx';

const REFRESH_MS = 10_000;

export function ProjectsPage() {
  const projects = useResource(
    'projects',
    (signal) => call<Project[]>('GET', '/projects', undefined, signal),
    REFRESH_MS,
  );
  return (
    <>
      <PageHead title="Projects" />
      <ApiProblem error={projects.error} />
      {projects.data?.length === 0 && <Empty />}
      <ul class="projects">
        {projects.data?.map((project) => (
          <li key={project.id} class="card project">
            <h2>
              <a href={`/projects/${project.slug}`}>{project.slug}</a>
            </h2>
            <ul class="environments">
              {project.environments.map((environment) => (
                <EnvironmentRow key={environment.id} project={project} environment={environment} />
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </>
  );
}

function EnvironmentRow({ project, environment }: { project: Project; environment: Environment }) {
  const path = apiPath('projects', project.id, 'environments', environment.id, 'deployments');
  const latest = useResource(
    environment.id,
    (signal) => call<Deployment[]>('GET', `${path}?limit=1`, undefined, signal),
    REFRESH_MS,
  );
  const [last] = latest.data ?? [];
  const live = environment.liveDeploymentId;
  return (
    <li class="environment">
      <span class="environment-name">
        <a href={`/projects/${project.slug}#${environment.slug}`}>{environment.slug}</a>
        <span class="faint">{environment.branch}</span>
      </span>
      <span class="environment-status">
        {live === null ? (
          <Status status="none" text="nothing serves" />
        ) : (
          <a href={`/deployments/${live}`}>
            <Status status="live" />
          </a>
        )}
        {last && last.id !== live && (
          <a href={`/deployments/${last.id}`}>
            <Status status={last.status} />
          </a>
        )}
      </span>
      <span class="environment-last">
        {last && (
          <a href={`/deployments/${last.id}`}>
            <code>{shortCommit(last.commit)}</code> <Age at={last.createdAt} />
          </a>
        )}
      </span>
      <span class="environment-url">
        {live !== null && environment.urls[0] && <a href={environment.urls[0]}>{bare(environment.urls[0])}</a>}
      </span>
    </li>
  );
}

function Empty() {
  return (
    <section class="card empty">
      <h2>No projects yet</h2>
      <p>Create one from a terminal, and push to it:</p>
      <pre>{`orkestr login ${location.origin} --token -\norkestr project create shop\ngit push orkestr main`}</pre>
    </section>
  );
}

/** A URL as people say it. */
export const bare = (url: string): string => url.replace(/^https?:\/\//, '').replace(/\/$/, '');
