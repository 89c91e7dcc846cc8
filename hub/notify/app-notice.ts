/** Notices about a live app that is down or back. */
import type { DownApp } from '../../protocol/agent-link.ts';
import { whyDown } from '../model/down-app.ts';
import type { Db } from '../store/database.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that stores the change. `down` null: it is back. */
export async function notifyOfApp(
  trx: Db,
  environmentId: string,
  down: Pick<DownApp, 'error' | 'restarts'> | null,
  now: string,
): Promise<void> {
  const found = await trx
    .selectFrom('environment')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .select(['environment.slug', 'project.id as projectId', 'project.slug as projectSlug', 'project.team_id as teamId'])
    .where('environment.id', '=', environmentId)
    .executeTakeFirstOrThrow();
  const { slug, projectId, projectSlug, teamId } = found;
  await queueNotice(
    trx,
    { teamId, projectIds: [projectId] },
    {
      kind: down === null ? 'app.back' : 'app.down',
      at: now,
      summary: `${projectSlug}/${slug}: the app is ${down === null ? 'back' : 'down'}`,
      project: { id: projectId, slug: projectSlug },
      environment: { id: environmentId, slug },
      error: down === null ? null : errorOf({ ...down.error, message: whyDown(down) }),
      // Its log says why.
      path: down === null ? `/projects/${projectSlug}#${slug}` : `/projects/${projectSlug}/environments/${slug}/logs`,
    },
  );
}
