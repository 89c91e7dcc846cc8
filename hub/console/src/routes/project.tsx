/** One project: each environment with its deployments, and the buttons that start new ones. */
import { useLocation, useRoute } from 'preact-iso';
import type { Deployment, Environment, Project } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { settingsLines } from '../../../cli/text/settings-lines.ts';
import { apiPath, call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Facts } from '../components/facts.tsx';
import { PageHead } from '../components/layout.tsx';
import { ApiProblem } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { Age, Duration } from '../components/time.tsx';
import { CancelButton, RollbackButton } from '../deployment/actions.tsx';
import { Registries } from '../project/registries.tsx';
import { Variables } from '../project/variables.tsx';
import { bare } from './projects.tsx';

const REFRESH_MS = 5000;
const SHOWN = 30;

export function ProjectPage() {
  const { params } = useRoute();
  const path = apiPath('projects', params.project ?? '');
  const project = useResource(path, (signal) => call<Project>('GET', path, undefined, signal), REFRESH_MS);
  return (
    <>
      <PageHead title={params.project ?? ''} trail={<a href="/">Projects</a>} />
      <ApiProblem error={project.error} />
      {project.data && (
        <>
          <Facts
            of={[
              ['Git remote', project.data.gitRemote && <code>{project.data.gitRemote}</code>],
              ['Repository', project.data.repositoryUrl],
            ]}
          />
          {project.data.environments.map((environment) => (
            <EnvironmentSection key={environment.id} path={path} environment={environment} reload={project.reload} />
          ))}
          <Registries path={path} />
        </>
      )}
    </>
  );
}

interface SectionProps {
  readonly path: string;
  readonly environment: Environment;
  readonly reload: () => void;
}

function EnvironmentSection({ path, environment, reload }: SectionProps) {
  const { route } = useLocation();
  const url = `${path}${apiPath('environments', environment.slug, 'deployments')}`;
  const deployments = useResource(
    url,
    (signal) => call<Deployment[]>('GET', `${url}?limit=${SHOWN}`, undefined, signal),
    REFRESH_MS,
  );
  const deploy = async (): Promise<void> => {
    const made = await call<Deployment>('POST', url, {});
    route(`/deployments/${made.id}`);
  };
  const refresh = (): void => {
    deployments.reload();
    reload();
  };
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
        <span class="actions">
          <ActionButton tone="primary" act={deploy} label={`Deploy ${environment.slug}`}>
            Deploy {environment.branch}
          </ActionButton>
        </span>
      </header>
      <ApiProblem error={deployments.error} />
      {deployments.data?.length === 0 && <p class="faint pad">No deployments yet.</p>}
      {deployments.data && deployments.data.length > 0 && (
        <DeploymentTable deployments={deployments.data} live={environment.liveDeploymentId} refresh={refresh} />
      )}
      <Variables path={path} environment={environment.slug} />
      <Settings of={environment} />
    </section>
  );
}

/** Read-only: they are changed by the CLI and the API. */
function Settings({ of }: { of: Environment }) {
  return (
    <details class="settings pad">
      <summary>Settings</summary>
      <Facts of={settingsLines(of.settings).map(([path, value]) => [path, <code>{value}</code>])} />
    </details>
  );
}

interface TableProps {
  readonly deployments: readonly Deployment[];
  readonly live: string | null;
  readonly refresh: () => void;
}

function DeploymentTable({ deployments, live, refresh }: TableProps) {
  return (
    <table class="deployments">
      <thead>
        <tr>
          <th scope="col">Status</th>
          <th scope="col">Commit</th>
          <th scope="col">Trigger</th>
          <th scope="col">Age</th>
          <th scope="col" class="number">
            Took
          </th>
          <th scope="col">
            <span class="unseen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {deployments.map((deployment) => (
          <tr key={deployment.id} aria-current={deployment.id === live ? 'true' : undefined}>
            <td>
              <a href={`/deployments/${deployment.id}`}>
                <Status status={deployment.status} />
              </a>
            </td>
            <td>
              <a href={`/deployments/${deployment.id}`}>
                <code>{shortCommit(deployment.commit)}</code>
              </a>{' '}
              <span class="faint">{deployment.branch}</span>
            </td>
            <td>{deployment.trigger}</td>
            <td>
              <Age at={deployment.createdAt} />
            </td>
            <td class="number">
              <Duration from={deployment.startedAt} to={deployment.finishedAt} />
            </td>
            <td class="row-actions">
              <CancelButton deployment={deployment} done={refresh} />
              <RollbackButton deployment={deployment} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
