/** Notices about hosts whose upgrade failed or was reverted. */
import type { Db } from '../store/database.ts';
import type { StoredUpgrade } from '../store/upgrades.ts';
import { hasFailed, type Rollout } from '../model/rollout.ts';
import { listProjectsOnHost } from '../store/environments.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that replaces `stored` by `rollout`. */
export async function notifyOfUpgrade(trx: Db, stored: StoredUpgrade, rollout: Rollout, now: string): Promise<void> {
  for (const [index, { state, error }] of rollout.hosts.entries()) {
    const before = stored.hosts[index];
    if (before === undefined || !hasFailed(state) || before.state === state) continue;
    const { host_id: id, host_name: name } = before;
    const end = state === 'reverted' ? 'was reverted, the previous version is running again' : 'failed';
    await queueNotice(
      trx,
      { teamId: stored.upgrade.team_id, projectIds: await listProjectsOnHost(trx, id) },
      {
        kind: 'upgrade.failed',
        at: now,
        summary: `${name}: the upgrade to ${rollout.version} ${end}`,
        host: { id, name },
        error: error === null ? null : errorOf(error),
        path: '/hosts',
      },
    );
  }
}
