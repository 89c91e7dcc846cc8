/** One project: each environment with its deployments, and buttons to start new ones. */
import { useRoute } from 'preact-iso';
import type { Environment, Project } from '../../../api/schemas.ts';
import { certificateLine } from '../../../cli/text/certificate-lines.ts';
import { downLine } from '../../../cli/text/down-line.ts';
import { edgeStateText } from '../../../cli/text/edge-state.ts';
import { NO_DOMAIN } from '../../../cli/text/no-domain.ts';
import { settingsLines } from '../../../cli/text/settings-lines.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useScope } from '../api/session.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Facts } from '../components/facts.tsx';
import { PageHead } from '../components/layout.tsx';
import { Pending } from '../components/pending.tsx';
import { Mend, Words } from '../components/problem.tsx';
import { useAskFor } from '../deployment/actions.tsx';
import { Deployments } from '../project/deployments.tsx';
import { Receivers } from '../project/receivers.tsx';
import { Registries } from '../project/registries.tsx';
import { Repository } from '../project/repository.tsx';
import { Variables } from '../project/variables.tsx';
import { bare } from './projects.tsx';

const REFRESH_MS = 5000;
/** States shown above the deployments, and not only among the settings. */
const NEWS_OF_EDGE: ReadonlySet<Environment['edge']['state']> = new Set(['sent', 'offline', 'failed']);

export function ProjectPage() {
  const { params } = useRoute();
  const path = apiPath('projects', params.project ?? '');
  const project = useResource(path, (signal) => call<Project>('GET', path, undefined, signal), REFRESH_MS);
  const { data } = project;
  return (
    <>
      <PageHead title={params.project ?? ''} trail={<a href="/">Projects</a>} />
      <Pending of={project} />
      {data && (
        <>
          <Facts of={[['Git remote', data.gitRemote && <code>{data.gitRemote}</code>]]} />
          {data.environments.map((environment) => (
            <EnvironmentSection key={environment.id} path={path} project={data} environment={environment} />
          ))}
          {data.repositoryUrl !== null && <Repository path={path} of={data} reload={project.reload} />}
          <Registries key={data.id} path={path} />
          <Receivers key={`${data.id} receivers`} path={path} />
        </>
      )}
    </>
  );
}

interface SectionProps {
  readonly path: string;
  readonly project: Project;
  readonly environment: Environment;
}

function EnvironmentSection({ path, project, environment }: SectionProps) {
  const ask = useAskFor();
  const mayDeploy = useScope('deploy');
  const deployments = `${path}${apiPath('environments', environment.slug, 'deployments')}`;
  return (
    <section class="card section" id={environment.slug} aria-labelledby={`${environment.slug}-name`}>
      <header class="section-head">
        <h2 id={`${environment.slug}-name`}>{environment.slug}</h2>
        <span class="faint">from {environment.branch}</span>
        {environment.liveDeploymentId !== null &&
          environment.urls.map((address) => (
            <a key={address} href={address}>
              {bare(address)}
            </a>
          ))}
        {environment.urls.length === 0 && <span class="faint">{NO_DOMAIN}</span>}
        {environment.liveDeploymentId !== null && (
          <a
            href={`/projects/${project.slug}/environments/${environment.slug}/logs`}
            aria-label={`Logs of ${environment.slug}`}
          >
            Logs
          </a>
        )}
        {mayDeploy && (
          <span class="actions">
            <ActionButton tone="primary" act={() => ask(deployments, {})} label={`Deploy ${environment.slug}`}>
              Deploy {environment.branch}
            </ActionButton>
          </span>
        )}
      </header>
      {NEWS_OF_EDGE.has(environment.edge.state) && (
        <p class="pad" role="status">
          Domains and edge settings: {edgeStateText(environment)}
        </p>
      )}
      {environment.down !== null && (
        <p class="card error" role="alert">
          {environment.slug} is <Words of={downLine(environment.down)} /> <Mend code={environment.down.error.code} />{' '}
          <a href={`/projects/${project.slug}/environments/${environment.slug}/logs`}>See its log</a>
        </p>
      )}
      {environment.certificates.map((one) => (
        <p key={one.host} class="card error" role="alert">
          {certificateLine(one)} <Mend code={one.error.code} />
        </p>
      ))}
      <Deployments path={deployments} project={project} environment={environment} loaded={goToSection} />
      <Variables path={path} environment={environment.slug} />
      <Settings project={project} of={environment} />
    </section>
  );
}

/** Scrolls to the section in the URL. Called again after loading, since content that loads above moves it. */
function goToSection(): void {
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

/** Read-only: the CLI and the API change them. */
function Settings({ project, of }: { project: Project; of: Environment }) {
  return (
    <details class="settings pad">
      <summary>Settings</summary>
      <p>Domains and edge settings: {edgeStateText(of)}</p>
      <Facts of={settingsLines(of.settings).map(([path, value]) => [path, <code>{value}</code>])} />
      <p class="faint">
        Change them from a terminal, for example:{' '}
        <code>
          orkestr environment set {of.slug} --project {project.slug} --add-domain shop.example.com
        </code>
        . Domains and edge settings apply at once, the others with the next deployment.
      </p>
    </details>
  );
}
