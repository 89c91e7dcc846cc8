/** Notices about a live app that is down or back. */
import type { DownApp } from '../../protocol/agent-link.ts';
import { whyDown } from '../model/down-app.ts';
import type { Db } from '../store/database.ts';
import { getEnvironmentById } from '../store/environments.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that stores the change. `down` null: it is back. */
export async function notifyOfApp(
  trx: Db,
  environmentId: string,
  down: Pick<DownApp, 'error' | 'restarts'> | null,
  now: string,
): Promise<void> {
  const { environment, project } = await getEnvironmentById(trx, environmentId);
  const { slug } = environment;
  const place = `${project.slug}/${slug}`;
  await queueNotice(
    trx,
    { teamId: project.team_id, projectIds: [project.id] },
    {
      kind: down === null ? 'app.back' : 'app.down',
      at: now,
      summary: `${place}: the app is ${down === null ? 'back' : 'down'}`,
      project: { id: project.id, slug: project.slug },
      environment: { id: environment.id, slug },
      error: down === null ? null : errorOf({ ...down.error, message: whyDown(down) }),
      // Its log says why.
      path: `/projects/${project.slug}${down === null ? `#${slug}` : `/environments/${slug}/logs`}`,
    },
  );
}
