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

/** Back to a release that has been live and is not any more. */
export function RollbackButton({ deployment }: { deployment: Deployment }) {
  const { route } = useLocation();
  if (deployment.status !== 'superseded') return null;
  const rollback = async (): Promise<void> => {
    const made = await call<Deployment>('POST', `${apiPath('deployments', deployment.id)}/rollback`, {});
    route(`/deployments/${made.id}`);
  };
  const commit = shortCommit(deployment.commit);
  const question = `Roll ${deployment.environment.slug} back to ${commit}? Today's variables are used.`;
  return (
    <ActionButton act={rollback} confirm={{ question, yes: 'Roll back' }} label={`Roll back to ${commit}`}>
      Roll back
    </ActionButton>
  );
}
