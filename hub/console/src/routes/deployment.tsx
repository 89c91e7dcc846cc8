/** One deployment: its progress, the output of each step, the live log, and its error. */
import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import type { Deployment, DeploymentDetail } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import type { StepName } from '../../../../protocol/steps.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useSessionEnded } from '../api/session.ts';
import { Facts } from '../components/facts.tsx';
import { PageHead } from '../components/layout.tsx';
import { Pending } from '../components/pending.tsx';
import { ApiProblem, ErrorCard } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { Age, Duration } from '../components/time.tsx';
import { CancelAsked, CancelButton, RetryButton, RollbackButton } from '../deployment/actions.tsx';
import { hasEnded, stepOfInterest } from '../deployment/progress.ts';
import { StepList } from '../deployment/step-list.tsx';
import { StepPanel } from '../deployment/step-panel.tsx';
import { makeDeploymentView } from '../deployment/store.ts';

/** Events arrive by stream at once. Polling covers changes after its end, and the reason for waiting. */
const REFRESH_MS = 10_000;

export function DeploymentPage() {
  const { params } = useRoute();
  const path = apiPath('deployments', params.deployment ?? '');
  const deployment = useResource(path, (signal) => call<DeploymentDetail>('GET', path, undefined, signal), REFRESH_MS);
  const { data, error, reload } = deployment;
  if (data === undefined) {
    return (
      <>
        <PageHead title="Deployment" trail={<a href="/">Projects</a>} />
        <Pending of={deployment} />
      </>
    );
  }
  return (
    <>
      {error?.problem && <ApiProblem error={error} />}
      <DeploymentBody
        key={path}
        detail={data}
        lost={error !== undefined && error.problem === undefined}
        reload={reload}
      />
    </>
  );
}

interface BodyProps {
  readonly detail: DeploymentDetail;
  /** The hub did not answer the last request. */
  readonly lost: boolean;
  readonly reload: () => void;
}

function DeploymentBody({ detail, lost, reload }: BodyProps) {
  const [view] = useState(() => makeDeploymentView(detail));
  const [chosen, choose] = useState<StepName>();
  const sessionEnded = useSessionEnded();
  const progress = view.progress.value;
  const { deployment, streamEnded } = progress;
  const ended = hasEnded(deployment);
  useEffect(() => view.refresh(detail), [detail]);
  useEffect(() => (sessionEnded || streamEnded ? undefined : view.follow()), [sessionEnded, streamEnded]);
  const name = chosen ?? stepOfInterest(progress);
  const step = progress.steps.get(name);
  const log = view.log(name);
  return (
    <>
      <Head deployment={deployment} reload={reload} />
      {(lost || (!view.connected.value && !ended)) && (
        <p class="notice" role="status">
          The connection to the hub is lost; trying again. Deployments and apps go on.
        </p>
      )}
      {!deployment.detailsKept && (
        <p class="notice">
          This is an old deployment: its log and step outputs are deleted. Its result and its release are kept.
        </p>
      )}
      {deployment.cancelRequested && !ended && <CancelAsked deployment={deployment} done={reload} />}
      {deployment.error && <ErrorCard error={deployment.error} title="Why it failed" />}
      <div class="deployment">
        <StepList progress={progress} selected={name} select={choose} />
        <StepPanel key={name} deploymentId={deployment.id} name={name} step={step} log={log} />
      </div>
    </>
  );
}

function Head({ deployment, reload }: { deployment: Deployment; reload: () => void }) {
  const { project, environment } = deployment;
  // The state on its host is unknown.
  const isLost = deployment.error?.code === 'ORK_HOST_LOST';
  const keeps = deployment.status === 'failed' && !isLost;
  const title = `${deployment.kind === 'rollback' ? 'Rollback' : 'Deployment'} of ${shortCommit(deployment.commit)}`;
  return (
    <>
      <PageHead
        title={title}
        tab={`${deployment.status} · ${project.slug} ${environment.slug}`}
        trail={
          <>
            <a href="/">Projects</a> <a href={`/projects/${project.slug}`}>{project.slug}</a>{' '}
            <a href={`/projects/${project.slug}#${environment.slug}`}>{environment.slug}</a>
          </>
        }
      >
        <CancelButton deployment={deployment} done={reload} />
        <RetryButton deployment={deployment} />
        <RollbackButton deployment={deployment} />
      </PageHead>
      <div class="summary card">
        <span role="status" aria-live="polite">
          <Status status={deployment.status} />
        </span>
        <Facts
          of={[
            ['Branch', deployment.branch],
            ['Trigger', deployment.trigger],
            ['Started', <Age at={deployment.createdAt} />],
            ['Took', deployment.startedAt && <Duration from={deployment.startedAt} to={deployment.finishedAt} />],
            ['Waits for', deployment.waitingFor],
            ['Domain', deployment.urls.length === 0 && 'none: a worker'],
            [
              'Serves at',
              deployment.status === 'live' &&
                deployment.urls.length > 0 &&
                deployment.urls.map((url) => <a href={url}>{url}</a>),
            ],
            ['Visitors', keeps && deployment.urls.length > 0 && 'the previous version keeps serving'],
            ['Meanwhile', keeps && deployment.urls.length === 0 && 'the previous version keeps running'],
            ['Back to', deployment.releaseOf && <a href={`/deployments/${deployment.releaseOf}`}>its release</a>],
            ['Variables', deployment.variables === 'release' && 'as they were at its release'],
            ['Replaced by', deployment.replacedBy && <a href={`/deployments/${deployment.replacedBy}`}>a newer one</a>],
          ]}
        />
      </div>
    </>
  );
}
