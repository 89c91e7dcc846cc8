/** Logins of image registries, per project. Passwords are sealed, bound to their project and registry. */
import type { RegistryLogin } from '../../protocol/job.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import type { Db } from './database.ts';
import type { Row } from './schema.ts';

type ListedRegistry = Pick<Row<'registry'>, 'host' | 'username' | 'updated_at'>;

export function listRegistries(db: Db, projectId: string): Promise<ListedRegistry[]> {
  return db
    .selectFrom('registry')
    .select(['host', 'username', 'updated_at'])
    .where('project_id', '=', projectId)
    .orderBy('host')
    .execute();
}

/** Adds the login, or replaces the existing one of its host. */
export async function putRegistry(
  db: Db,
  sealer: Sealer,
  projectId: string,
  login: RegistryLogin,
  now: string,
): Promise<void> {
  const { host, username } = login;
  const values = { username, password: sealer.seal(login.password, sealContext(projectId, host)), updated_at: now };
  await db
    .insertInto('registry')
    .values({ project_id: projectId, host, ...values })
    .onConflict((conflict) => conflict.columns(['project_id', 'host']).doUpdateSet(values))
    .execute();
}

/** True when it existed. */
export async function deleteRegistry(db: Db, projectId: string, host: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('registry')
    .where('project_id', '=', projectId)
    .where('host', '=', host)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** The logins in plain text, for jobs only. */
export async function openRegistries(db: Db, sealer: Sealer, projectId: string): Promise<RegistryLogin[]> {
  const rows = await db
    .selectFrom('registry')
    .select(['host', 'username', 'password'])
    .where('project_id', '=', projectId)
    .orderBy('host')
    .execute();
  return rows.map(({ host, username, password }) => ({
    host,
    username,
    password: sealer.open(password, sealContext(projectId, host)),
  }));
}

const sealContext = (projectId: string, host: string): string => `registry/${projectId}/${host}`;
