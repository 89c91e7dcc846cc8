/** Notices about a domain whose certificate fails or has recovered. */
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Db } from '../store/database.ts';
import { getEnvironmentById } from '../store/environments.ts';
import type { Row } from '../store/schema.ts';
import { errorOf } from './notice.ts';
import { queueNotice } from './queue-notice.ts';

/** Call it in the transaction that stores the change. `error` null: recovered. */
export async function notifyOfCertificate(
  trx: Db,
  { environment_id, host }: Pick<Row<'failing_certificate'>, 'environment_id' | 'host'>,
  error: ErrorReport | null,
  now: string,
): Promise<void> {
  const { environment, project } = await getEnvironmentById(trx, environment_id);
  const place = `${project.slug}/${environment.slug}`;
  await queueNotice(
    trx,
    { teamId: project.team_id, projectIds: [project.id] },
    {
      kind: error === null ? 'certificate.mended' : 'certificate.failing',
      at: now,
      summary: `${place}: the certificate of ${host} ${error === null ? 'is valid again' : 'is failing'}`,
      project: { id: project.id, slug: project.slug },
      environment: { id: environment.id, slug: environment.slug },
      error: error === null ? null : errorOf(error),
      path: `/projects/${project.slug}#${environment.slug}`,
    },
  );
}
