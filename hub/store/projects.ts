/** Projects: where their code is and the sealed credentials to read it. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import { isUniqueViolation } from './database.ts';
import type { Db } from './database.ts';
import { notFound } from './not-found.ts';
import type { NewRow, Row } from './schema.ts';
import { addStrayRepository } from './stray-repositories.ts';

export interface RepositoryAuth {
  readonly username: string;
  readonly token: string;
}

/** @throws OrkestrError ORK_CONFLICT when the team has a project of that slug. */
export async function insertProject(db: Db, project: NewRow<'project'>): Promise<void> {
  try {
    await db.insertInto('project').values(project).execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new OrkestrError('ORK_CONFLICT', `The team already has a project "${project.slug}".`, { cause: error });
  }
}

export function listProjects(db: Db, teamId: string): Promise<Row<'project'>[]> {
  return db.selectFrom('project').selectAll().where('team_id', '=', teamId).orderBy('slug').execute();
}

/** `reference`: slug or id. */
function findProject(db: Db, teamId: string, reference: string): Promise<Row<'project'> | undefined> {
  return db
    .selectFrom('project')
    .selectAll()
    .where('team_id', '=', teamId)
    .where((where) => where.or([where('slug', '=', reference), where('id', '=', reference)]))
    .executeTakeFirst();
}

/** `reference`: slug or id. @throws OrkestrError ORK_NOT_FOUND */
export async function getProject(db: Db, teamId: string, reference: string): Promise<Row<'project'>> {
  const project = await findProject(db, teamId, reference);
  if (project === undefined) throw notFound('project', reference);
  return project;
}

/**
 * Also deletes its environments, deployments and dependent rows; the caller must remove its repository afterwards. Call
 * it in a transaction.
 * @throws OrkestrError ORK_NOT_FOUND
 */
export async function deleteProject(db: Db, projectId: string): Promise<void> {
  const project = await db.deleteFrom('project').where('id', '=', projectId).returning('origin').executeTakeFirst();
  if (project === undefined) throw notFound('project', projectId);
  if (project.origin === 'hub') await addStrayRepository(db, projectId);
}

/** Stores the URL and credentials of an external project; null: no token. */
export async function setRepository(
  db: Db,
  projectId: string,
  repository: Pick<Row<'project'>, 'repository_url' | 'repository_auth'>,
): Promise<void> {
  await db.updateTable('project').set(repository).where('id', '=', projectId).execute();
}

/** Sealed for this project: it cannot be opened in another project's row. */
export function sealRepositoryAuth(sealer: Sealer, projectId: string, auth: RepositoryAuth): string {
  return sealer.seal(JSON.stringify(auth), sealContext(projectId));
}

/** Credentials of the project's external repository; undefined for public ones. */
export function openRepositoryAuth(
  sealer: Sealer,
  project: Pick<Row<'project'>, 'id' | 'repository_auth'>,
): RepositoryAuth | undefined {
  if (project.repository_auth === null) return undefined;
  return JSON.parse(sealer.open(project.repository_auth, sealContext(project.id))) as RepositoryAuth;
}

const sealContext = (projectId: string): string => `repository_auth/${projectId}`;
