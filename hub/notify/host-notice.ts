/** Notices about a host that is offline or back. */
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Db } from '../store/database.ts';
import type { Row } from '../store/schema.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that updates the host's row. */
export async function notifyOfHost(trx: Db, host: Row<'host'>, error: ErrorReport | null, now: string): Promise<void> {
  const { id, name } = host;
  await queueNotice(
    trx,
    { teamId: host.team_id, projectIds: await projectsOnHost(trx, id) },
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

/** Projects with an environment on the host: they are affected, too. */
export async function projectsOnHost(db: Db, hostId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('environment')
    .select('project_id')
    .distinct()
    .where('host_id', '=', hostId)
    .execute();
  return rows.map(({ project_id }) => project_id);
}
