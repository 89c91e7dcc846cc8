/** Notices about a host that is offline or back. */
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Db } from '../store/database.ts';
import { listProjectsOnHost } from '../store/environments.ts';
import type { Row } from '../store/schema.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that updates the host's row. */
export async function notifyOfHost(trx: Db, host: Row<'host'>, error: ErrorReport | null, now: string): Promise<void> {
  const { id, name } = host;
  await queueNotice(
    trx,
    { teamId: host.team_id, projectIds: await listProjectsOnHost(trx, id) },
    {
      kind: error === null ? 'host.back' : 'host.offline',
      at: now,
      summary: `${name}: the host is ${error === null ? 'back' : 'offline'}`,
      host: { id, name },
      error: error === null ? null : errorOf(error),
      path: '/hosts',
    },
  );
}
