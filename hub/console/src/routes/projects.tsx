/** All projects, each environment with its live and its latest deployment. */
import type { Host, ProjectInShort } from '../../../api/schemas.ts';
import { servesText } from '../../../cli/text/down-line.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { NO_DOMAIN } from '../../../cli/text/no-domain.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { PageHead } from '../components/layout.tsx';
import { Pending } from '../components/pending.tsx';
import { Status } from '../components/status.tsx';
import { Age } from '../components/time.tsx';

const REFRESH_MS = 10_000;

export function ProjectsPage() {
  const projects = useResource(
    'overview',
    (signal) => call<ProjectInShort[]>('GET', '/overview', undefined, signal),
    REFRESH_MS,
  );
  return (
    <>
      <PageHead title="Projects" />
      <Pending of={projects} />
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

interface RowProps {
  readonly project: ProjectInShort;
  readonly environment: ProjectInShort['environments'][number];
}

function EnvironmentRow({ project, environment }: RowProps) {
  const { liveDeploymentId: live, latestDeployment: last, down } = environment;
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
            <Status status={down === null ? 'live' : 'down'} text={servesText(environment)} />
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
        {environment.urls.length === 0 && <span class="faint">{NO_DOMAIN}</span>}
      </span>
    </li>
  );
}

function Empty() {
  const hosts = useResource('hosts', (signal) => call<Host[]>('GET', '/hosts', undefined, signal));
  return (
    <section class="card empty">
      <h2>No projects yet</h2>
      {hosts.data?.length === 0 && (
        <p>
          Apps need a host to run on: <a href="/hosts">add one</a> first.
        </p>
      )}
      <p>
        Create a project from a terminal, and push to it from your repository. The first line is for a computer that is
        no host of yours; it needs Node.js 22.19 or later.
      </p>
      <pre tabIndex={0}>
        {[
          `curl -fsSL --create-dirs ${location.origin}/cli -o ~/.local/bin/orkestr && chmod +x ~/.local/bin/orkestr`,
          `orkestr login ${location.origin}`,
          'orkestr project create shop',
          `git remote add orkestr ${location.origin}/git/shop.git`,
          'git push orkestr HEAD:main',
        ].join('\n')}
      </pre>
    </section>
  );
}

/** A URL without scheme and trailing slash. */
export const bare = (url: string): string => url.replace(/^https?:\/\//, '').replace(/\/$/, '');
