/** Fails deployments on the hub's side, because no job could be made or their host is lost. */
import { type ErrorReport, OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { CoreDeps, News } from '../deps.ts';
import { notifyOfDeployment } from '../notify/deployment-notice.ts';
import { changeStatus, findDeployment, isOpen } from '../store/deployments.ts';
import { GRACE_SECONDS, LEASE_SECONDS } from './lease.ts';

/**
 * Stores the deployment as failed and queues the notifications.
 * @param lease value that the decision was based on; if the host has renewed the lease or reported since, nothing is
 * changed
 */
export async function failDeployment(
  { db, clock, news }: Pick<CoreDeps, 'db' | 'clock'> & { readonly news: News },
  id: string,
  error: ErrorReport,
  lease?: string | null,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const deployment = await findDeployment(trx, id);
    if (deployment === undefined || !isOpen(deployment)) return;
    if (lease !== undefined && deployment.lease_expires_at !== lease) return;
    const now = clock.now().toISOString();
    await changeStatus(trx, id, { status: 'failed', error, finished_at: now, lease_expires_at: null });
    await notifyOfDeployment(trx, deployment, now);
  });
  news.publish(id);
}

/** The host was silent for too long. */
export const hostLost = (): ErrorReport =>
  toErrorReport(
    new OrkestrError(
      'ORK_HOST_LOST',
      `The host is offline and did not renew its lease of ${LEASE_SECONDS} s for ${GRACE_SECONDS} s. The state of the deployment there is unknown.`,
    ),
  );

/** A user did not want to wait for the host. */
export const givenUp = (): ErrorReport =>
  toErrorReport(
    new OrkestrError(
      'ORK_HOST_LOST',
      'It was given up on request while its host was offline. The host cancels it when it reconnects, unless it has gone live by then; in that case it is shown as live.',
    ),
  );
