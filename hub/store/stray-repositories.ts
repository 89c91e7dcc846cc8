/**
 * Git repositories without a project. Files and store cannot change in one transaction, so a repository is listed here
 * before its files are created until its project is stored, and from the deletion of its project until its files are
 * gone. The next start removes what a killed hub left.
 */
import type { Db } from './database.ts';

export async function addStrayRepository(db: Db, projectId: string): Promise<void> {
  await db
    .insertInto('stray_repository')
    .values({ project_id: projectId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function deleteStrayRepository(db: Db, projectId: string): Promise<void> {
  await db.deleteFrom('stray_repository').where('project_id', '=', projectId).execute();
}

/**
 * Never includes the repository of an existing project, whatever its row here says: deleted files cannot be restored.
 */
export async function listStrayRepositories(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('stray_repository')
    .select('project_id')
    .where('project_id', 'not in', (row) => row.selectFrom('project').select('id'))
    .execute();
  return rows.map(({ project_id }) => project_id);
}
