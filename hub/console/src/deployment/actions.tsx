/** What can be done about a deployment; each shows itself only where it makes sense. */
import { useLocation } from 'preact-iso';
import type { Deployment } from '../../../api/schemas.ts';
import { shortCommit } from '../../../cli/text/format.ts';
import { apiPath, call } from '../api/client.ts';
import { ActionButton } from '../components/action-button.tsx';
import { hasEnded } from './progress.ts';

export function CancelButton({ deployment, done }: { deployment: Deployment; done: () => void }) {
  if (hasEnded(deployment)) return null;
  const cancel = async (): Promise<void> => {
    await call('POST', `${apiPath('deployments', deployment.id)}/cancel`, {});
    done();
  };
  const question = `Cancel the deployment of ${shortCommit(deployment.commit)}? What serves now serves on.`;
  return (
    <ActionButton tone="danger" act={cancel} confirm={{ question, yes: 'Cancel it' }} label="Cancel this deployment">
      Cancel
    </ActionButton>
  );
}

/** Back to a release that has been live; or what is live once more, for settings and variables that have changed. */
export function RollbackButton({ deployment }: { deployment: Deployment }) {
  const { route } = useLocation();
  const { status, environment } = deployment;
  if (status !== 'superseded' && status !== 'live') return null;
  const rollback = async (): Promise<void> => {
    const made = await call<Deployment>('POST', `${apiPath('deployments', deployment.id)}/rollback`, {});
    route(`/deployments/${made.id}`);
  };
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
