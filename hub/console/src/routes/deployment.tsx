/** One deployment: its steps as they go, what each left behind, its live log, and what went wrong. */
import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import type { Deployment } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import type { StepName } from '../../../../protocol/steps.ts';
import { ApiError } from '../api/client.ts';
import { Facts } from '../components/facts.tsx';
import { PageHead } from '../components/layout.tsx';
import { ApiProblem, ErrorCard } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { Age, Duration } from '../components/time.tsx';
import { CancelButton, RollbackButton } from '../deployment/actions.tsx';
import { stepOfInterest } from '../deployment/progress.ts';
import { StepList } from '../deployment/step-list.tsx';
import { StepPanel } from '../deployment/step-panel.tsx';
import { openDeployment } from '../deployment/store.ts';
import type { DeploymentView } from '../deployment/store.ts';

export function DeploymentPage() {
  const { params } = useRoute();
  const id = params.deployment ?? '';
  const [view, setView] = useState<DeploymentView>();
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    const abort = new AbortController();
    let opened: DeploymentView | undefined;
    openDeployment(id, abort.signal).then(
      (view) => {
        opened = view;
        if (abort.signal.aborted) view.close();
        else setView(view);
      },
      (thrown: unknown) => {
        if (abort.signal.aborted) return;
        if (!(thrown instanceof ApiError)) throw thrown;
        setError(thrown);
      },
    );
    return () => {
      abort.abort();
      opened?.close();
      setView(undefined);
      setError(undefined);
    };
  }, [id]);
  if (view === undefined) return <ApiProblem error={error} />;
  return <DeploymentBody key={id} view={view} />;
}

function DeploymentBody({ view }: { view: DeploymentView }) {
  const [chosen, choose] = useState<StepName>();
  const progress = view.progress.value;
  const { deployment } = progress;
  const name = chosen ?? stepOfInterest(progress);
  const step = progress.steps.get(name);
  const log = view.log(name);
  return (
    <>
      <Head deployment={deployment} />
      {!view.connected.value && !progress.ended && (
        <p class="notice" role="status">
          The connection to the hub is lost; trying again. The deployment goes on.
        </p>
      )}
      {deployment.error && <ErrorCard error={deployment.error} title="Why it failed" />}
      <div class="deployment">
        <StepList progress={progress} selected={name} select={choose} />
        <StepPanel key={name} deploymentId={deployment.id} name={name} step={step} log={log} />
      </div>
    </>
  );
}

function Head({ deployment }: { deployment: Deployment }) {
  const { project, environment } = deployment;
  return (
    <>
      <PageHead
        title={`${deployment.kind === 'rollback' ? 'Rollback' : 'Deployment'} of ${shortCommit(deployment.commit)}`}
        trail={
          <>
            <a href="/">Projects</a> <a href={`/projects/${project.slug}`}>{project.slug}</a>{' '}
            <a href={`/projects/${project.slug}#${environment.slug}`}>{environment.slug}</a>
          </>
        }
      >
        <CancelButton deployment={deployment} done={() => undefined} />
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
            ['Waits', deployment.status === 'queued' && deployment.waitingFor],
            ['Serves at', deployment.status === 'live' && deployment.urls.map((url) => <a href={url}>{url}</a>)],
            ['Back to', deployment.releaseOf && <a href={`/deployments/${deployment.releaseOf}`}>its release</a>],
            ['Replaced by', deployment.replacedBy && <a href={`/deployments/${deployment.replacedBy}`}>a newer one</a>],
          ]}
        />
      </div>
    </>
  );
}
