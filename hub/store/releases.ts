/** Releases: what live deployments left behind. Immutable. */
import { setImmediate as turn } from 'node:timers/promises';
import { Release } from '../../protocol/steps.ts';
import type { Db } from './database.ts';
import { listOpen } from './deployments.ts';

/** Releases that are gone through at once. */
const PAGE = 500;

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

/** What a deployment went live with; null when it never did. */
export async function findRelease(db: Db, deploymentId: string): Promise<Release | null> {
  const row = await db
    .selectFrom('release')
    .select('release')
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirst();
  return row === undefined ? null : Release.parse(JSON.parse(row.release));
}

/**
 * Commits of a project that may be cloned again: of every release that can be gone back to, and of what has not ended. In pages,
 * with other things in between: of releases there is no end.
 */
export async function listNeededCommits(db: Db, projectId: string): Promise<Set<string>> {
  const needed = new Set<string>();
  const environments = await db.selectFrom('environment').select('id').where('project_id', '=', projectId).execute();
  for (const { id } of environments) {
    // First: what ends meanwhile has left its release for the pages, or was seen here.
    for (const { commit } of await listOpen(db, id)) needed.add(commit);
    for await (const commit of releasedCommits(db, id)) needed.add(commit);
  }
  return needed;
}

async function* releasedCommits(db: Db, environmentId: string): AsyncGenerator<string> {
  let after = '';
  for (;;) {
    const page = await db
      .selectFrom('release')
      .innerJoin('deployment', 'deployment.id', 'release.deployment_id')
      .select(['release.deployment_id', 'deployment.commit'])
      .where('release.environment_id', '=', environmentId)
      .where('release.deployment_id', '>', after)
      .orderBy('release.deployment_id')
      .limit(PAGE)
      .execute();
    for (const { commit } of page) yield commit;
    if (page.length < PAGE) return;
    after = page.at(-1)?.deployment_id ?? after;
    await turn();
  }
}
