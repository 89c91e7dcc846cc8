/**
 * Git repositories of no project: files and store cannot change in one transaction. One is in here from before its files are
 * made until its project is stored, and from when its project is deleted until they are gone; a start clears away what a kill left.
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

/** Never the one of a project that is there, whatever became of its row here: files that go do not come back. */
export async function listStrayRepositories(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('stray_repository')
    .select('project_id')
    .where('project_id', 'not in', (row) => row.selectFrom('project').select('id'))
    .execute();
  return rows.map(({ project_id }) => project_id);
}
