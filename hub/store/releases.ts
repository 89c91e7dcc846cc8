/** Releases: immutable records of live deployments. */
import { setImmediate as turn } from 'node:timers/promises';
import { Release } from '../../protocol/steps.ts';
import type { Db } from './database.ts';
import { listOpen } from './deployments.ts';

/** Releases read per page. */
const PAGE = 500;

/** An existing release is kept, since releases never change. */
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

/** The release of a deployment; null when it never went live. */
export async function findRelease(db: Db, deploymentId: string): Promise<Release | null> {
  const row = await db
    .selectFrom('release')
    .select('release')
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirst();
  return row === undefined ? null : Release.parse(JSON.parse(row.release));
}

/**
 * Commits of a project that may be cloned again: those of all releases, which may be rolled back to, and of open
 * deployments. Reads pages and yields in between, since the number of releases is unbounded.
 */
export async function listNeededCommits(db: Db, projectId: string): Promise<Set<string>> {
  const needed = new Set<string>();
  const environments = await db.selectFrom('environment').select('id').where('project_id', '=', projectId).execute();
  for (const { id } of environments) {
    // Open ones first: a deployment that ends meanwhile is seen here or has its release in the pages.
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
