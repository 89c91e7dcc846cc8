/** Actions on a deployment; each renders only where it applies and the user may do it. */
import { useLocation } from 'preact-iso';
import type { Deployment } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useScope } from '../api/session.ts';
import { ActionButton } from '../components/action-button.tsx';
import { hasEnded } from './progress.ts';

export function CancelButton({ deployment, done }: { deployment: Deployment; done: () => void }) {
  if (!useScope('deploy') || hasEnded(deployment) || deployment.cancelRequested) return null;
  const cancel = async (): Promise<void> => {
    await call('POST', `${apiPath('deployments', deployment.id)}/cancel`, {});
    done();
  };
  const question = `Cancel the deployment of ${shortCommit(deployment.commit)}? The live version keeps serving.`;
  return (
    <ActionButton tone="danger" act={cancel} confirm={{ question, yes: 'Cancel it' }} label="Cancel this deployment">
      Cancel
    </ActionButton>
  );
}

/** Shows a pending cancel; with an offline host also the consequences, and a way to give up waiting. */
export function CancelAsked({ deployment, done }: { deployment: Deployment; done: () => void }) {
  const mayEnd = useScope('deploy') && deployment.waitingFor !== undefined;
  const giveUp = async (): Promise<void> => {
    await call('POST', `${apiPath('deployments', deployment.id)}/cancel`, { giveUp: true });
    done();
  };
  const question =
    'Give it up? It ends here as failed. The host will cancel it when it reconnects, unless it has gone live by then; in that case it is shown as live.';
  return (
    <div class="notice" role="status">
      {deployment.waitingFor === undefined
        ? 'It is being cancelled: its host is undoing its work.'
        : `Cancel requested. It waits for ${deployment.waitingFor}: it keeps running there until the host reconnects and receives the cancel.`}{' '}
      {mayEnd && (
        <ActionButton tone="danger" act={giveUp} confirm={{ question, yes: 'Give it up' }} label="Give it up">
          Do not wait
        </ActionButton>
      )}
    </div>
  );
}

/** Repeats the deployment after a fix outside of the repository: settings, variables, the host. */
export function RetryButton({ deployment }: { deployment: Deployment }) {
  const ask = useAskFor();
  const { status, project, environment, commit, releaseOf, variables } = deployment;
  if (!useScope('deploy') || (status !== 'failed' && status !== 'cancelled')) return null;
  const retry = (): Promise<void> =>
    releaseOf === null
      ? ask(apiPath('projects', project.id, 'environments', environment.id, 'deployments'), { commit })
      : ask(`${apiPath('deployments', releaseOf)}/rollback`, { variables });
  return (
    <ActionButton act={retry} label={`Try ${shortCommit(commit)} again`}>
      Try again
    </ActionButton>
  );
}

/** Rolls back to a former release, or redeploys the live one with changed settings and variables. */
export function RollbackButton({ deployment }: { deployment: Deployment }) {
  const ask = useAskFor();
  const { status, environment } = deployment;
  if (!useScope('deploy') || (status !== 'superseded' && status !== 'live')) return null;
  const rollback = (): Promise<void> => ask(`${apiPath('deployments', deployment.id)}/rollback`, {});
  const commit = shortCommit(deployment.commit);
  const { yes, label, question } =
    status === 'live'
      ? {
          yes: 'Deploy again',
          label: `Deploy ${commit} again`,
          question: `Deploy ${commit} again, with today's settings?`,
        }
      : { yes: 'Roll back', label: `Roll back to ${commit}`, question: `Roll ${environment.slug} back to ${commit}?` };
  return (
    <ActionButton act={rollback} confirm={{ question: `${question} Today's variables are used.`, yes }} label={label}>
      {yes}
    </ActionButton>
  );
}

/** Requests a deployment and goes to its page. */
export function useAskFor(): (path: string, body: unknown) => Promise<void> {
  const { route } = useLocation();
  return async (path, body) => {
    const made = await call<Deployment>('POST', path, body);
    route(`/deployments/${made.id}`);
  };
}
