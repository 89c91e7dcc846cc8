/** Notices about a domain whose certificate fails or has recovered. */
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Db } from '../store/database.ts';
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
  const found = await trx
    .selectFrom('environment')
    .innerJoin('project', 'project.id', 'environment.project_id')
    .select(['environment.slug', 'project.id as projectId', 'project.slug as projectSlug', 'project.team_id as teamId'])
    .where('environment.id', '=', environment_id)
    .executeTakeFirstOrThrow();
  const { slug, projectId, projectSlug, teamId } = found;
  await queueNotice(
    trx,
    { teamId, projectIds: [projectId] },
    {
      kind: error === null ? 'certificate.mended' : 'certificate.failing',
      at: now,
      summary: `${projectSlug}/${slug}: the certificate of ${host} ${error === null ? 'is valid again' : 'is failing'}`,
      project: { id: projectId, slug: projectSlug },
      environment: { id: environment_id, slug },
      error: error === null ? null : errorOf(error),
      path: `/projects/${projectSlug}#${slug}`,
    },
  );
}
