/** Releases: what live deployments left behind. Immutable. */
import { Release } from '../../protocol/steps.ts';
import type { Db } from './database.ts';
import { listOpen } from './deployments.ts';

/** The first one stays: a release never changes. */
export async function insertRelease(db: Db, environmentId: string, release: Release): Promise<void> {
  await db
    .insertInto('release')
    .values({
      deployment_id: release.deploymentId,
      environment_id: environmentId,
      release: JSON.stringify(release),
      created_at: release.liveAt,
    })
    .onConflict((conflict) => conflict.column('deployment_id').doNothing())
    .execute();
}

export async function findRelease(db: Db, deploymentId: string): Promise<Release | null> {
  const row = await db
    .selectFrom('release')
    .select('release')
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirst();
  return row === undefined ? null : Release.parse(JSON.parse(row.release));
}

/** Commits of a project that may be cloned again: of every release that can be gone back to, and of what has not ended. */
export async function listNeededCommits(db: Db, projectId: string): Promise<Set<string>> {
  const needed = new Set<string>();
  const environments = await db.selectFrom('environment').select('id').where('project_id', '=', projectId).execute();
  for (const { id } of environments) {
    const released = await db
      .selectFrom('release')
      .innerJoin('deployment', 'deployment.id', 'release.deployment_id')
      .select('deployment.commit')
      .distinct()
      .where('release.environment_id', '=', id)
      .execute();
    for (const { commit } of [...released, ...(await listOpen(db, id))]) needed.add(commit);
  }
  return needed;
}
