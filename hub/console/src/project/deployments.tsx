/** The deployments of an environment, newest first; a button loads older ones. */
import { useEffect, useState } from 'preact/hooks';
import type { Deployment, Environment, Project } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { ActionButton } from '../components/action-button.tsx';
import { Pending } from '../components/pending.tsx';
import { Status } from '../components/status.tsx';
import { Age, Duration } from '../components/time.tsx';
import { CancelButton, RollbackButton } from '../deployment/actions.tsx';

const REFRESH_MS = 5000;
const PAGE = 30;

interface Props {
  /** Of the deployments in the API. */
  readonly path: string;
  readonly project: Project;
  readonly environment: Environment;
  /** Called when they have loaded for the first time. */
  readonly loaded: () => void;
}

export function Deployments({ path, project, environment, loaded }: Props) {
  const page = (query: string, signal?: AbortSignal): Promise<Deployment[]> =>
    call<Deployment[]>('GET', `${path}?limit=${PAGE}${query}`, undefined, signal);
  const deployments = useResource(path, (signal) => page('', signal), REFRESH_MS);
  const { data, reload } = deployments;
  const [older, setOlder] = useState<readonly Deployment[]>([]);
  const [all, setAll] = useState(false);
  const there = data !== undefined;
  useEffect(() => {
    if (there) loaded();
  }, [there]);
  if (data === undefined) return <Pending of={deployments} />;
  const rows = [...data, ...older.filter(({ id }) => data.every((one) => one.id !== id))];
  const showOlder = async (): Promise<void> => {
    const more = await page(`&before=${rows.at(-1)?.id ?? ''}`);
    setOlder([...rows, ...more]); // include these rows: newer ones may push them off the first page
    setAll(more.length < PAGE);
  };
  return (
    <>
      <Pending of={deployments} />
      {rows.length === 0 ? (
        <NothingYet project={project} environment={environment} />
      ) : (
        <DeploymentTable deployments={rows} live={environment.liveDeploymentId} refresh={reload} />
      )}
      {rows.length >= PAGE && !all && (
        <p class="pad">
          <ActionButton act={showOlder}>Show older ones</ActionButton>
        </p>
      )}
    </>
  );
}

function NothingYet({
  project: { gitRemote },
  environment: { branch },
}: {
  project: Project;
  environment: Environment;
}) {
  if (gitRemote === null) return <p class="faint pad">No deployments yet: deploy {branch} with the button.</p>;
  return (
    <div class="pad first-push">
      <p>No deployments yet. In your repository:</p>
      <pre tabIndex={0}>{`git remote add orkestr ${gitRemote}\ngit push orkestr HEAD:${branch}`}</pre>
      <p class="faint">
        When git asks, enter any user name, and an API token with the scope <code>git</code> as the password.
      </p>
    </div>
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
              {deployment.cancelRequested && <span class="faint"> cancel requested</span>}
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
