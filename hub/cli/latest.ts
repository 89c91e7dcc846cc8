/** Deployments of an environment, newest first. */
import { z } from 'zod';
import { Deployment, Environment } from '../api/schemas.ts';
import { apiPath } from '../api/paths.ts';
import type { Context } from './context.ts';
import { environmentPath } from './place.ts';
import type { PlaceOptions } from './place.ts';

const PAGE = 100;

/** @param before id of the last deployment on the previous page */
export async function listDeployments(
  context: Context,
  options: PlaceOptions,
  limit: number,
  before?: string,
): Promise<Deployment[]> {
  const path = await environmentPath(context, options, 'deployments');
  return context.hub().get(path, z.array(Deployment), { limit, before });
}

/**
 * Deployments that have not ended, in the order of their turns: the first one runs or is next. Searches the last
 * hundred.
 */
export async function listOpen(context: Context, options: PlaceOptions): Promise<Deployment[]> {
  const newestFirst = await listDeployments(context, options, PAGE);
  return newestFirst.filter(({ status }) => status === 'running' || status === 'queued').toReversed();
}

/** The live deployment, however many have failed or were skipped since; null when nothing is live yet. */
export async function findLive(context: Context, options: PlaceOptions): Promise<string | null> {
  return (await context.hub().get(await environmentPath(context, options), Environment)).liveDeploymentId;
}

/**
 * The newest release before that of the live image. Rollbacks and redeployments are deployments of their own in the
 * history: follow them to the origin of their image, since otherwise a second rollback would undo the first.
 */
export async function findPreviousRelease(context: Context, options: PlaceOptions): Promise<Deployment | undefined> {
  const live = await findLive(context, options);
  let origin = live === null ? null : (await context.hub().get(apiPath('deployments', live), Deployment)).releaseOf;
  let before = live ?? undefined;
  for (;;) {
    const page = await listDeployments(context, options, PAGE, before);
    for (const deployment of page) {
      if (origin === null && deployment.status === 'superseded') return deployment;
      if (deployment.id === origin) origin = deployment.releaseOf;
    }
    if (page.length < PAGE) return undefined;
    before = page.at(-1)?.id;
  }
}
