/** Domains with failing certificates, by environment. */
import type { FailingCertificate } from '../../protocol/agent-link.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

type Key = Pick<Row<'failing_certificate'>, 'environment_id' | 'host'>;

/** All known failures of a host. */
export function listOfHost(db: Db, hostId: string): Promise<Row<'failing_certificate'>[]> {
  return db
    .selectFrom('failing_certificate')
    .innerJoin('environment', 'environment.id', 'failing_certificate.environment_id')
    .selectAll('failing_certificate')
    .where('environment.host_id', '=', hostId)
    .execute();
}

/** Environment id → its failures, ordered by domain. */
export async function failingCertificates(
  db: Db,
  environmentIds: readonly string[],
): Promise<Map<string, Row<'failing_certificate'>[]>> {
  const rows = await db
    .selectFrom('failing_certificate')
    .selectAll()
    .where('environment_id', 'in', environmentIds)
    .orderBy('host')
    .execute();
  return Map.groupBy(rows, ({ environment_id }) => environment_id);
}

/** For a known failure, keeps `since` and `told_at`. */
export async function putFailing(
  db: Db,
  { environment_id, host }: Key,
  { error, notAfter }: FailingCertificate,
  now: string,
): Promise<void> {
  const told = { error: JSON.stringify(error), not_after: notAfter };
  await db
    .insertInto('failing_certificate')
    .values({ environment_id, host, ...told, since: now, told_at: null })
    .onConflict((conflict) => conflict.columns(['environment_id', 'host']).doUpdateSet(told))
    .execute();
}

export async function setTold(db: Db, { environment_id, host }: Key, now: string): Promise<void> {
  await db
    .updateTable('failing_certificate')
    .set({ told_at: now })
    .where('environment_id', '=', environment_id)
    .where('host', '=', host)
    .execute();
}

export async function deleteFailing(db: Db, { environment_id, host }: Key): Promise<void> {
  await db
    .deleteFrom('failing_certificate')
    .where('environment_id', '=', environment_id)
    .where('host', '=', host)
    .execute();
}
