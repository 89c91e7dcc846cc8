/** Releases: what live deployments left behind. Immutable. */
import { Release } from '../../protocol/steps.ts';
import type { Db } from './database.ts';

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
