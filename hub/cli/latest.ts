/** Deployments of an environment, newest first. */
import { z } from 'zod';
import { Deployment, Environment } from '../api/schemas.ts';
import { apiPath } from './client.ts';
import type { Context } from './context.ts';
import { environmentPath } from './place.ts';
import type { PlaceOptions } from './place.ts';

const PAGE = 100;

/** @param before id of the last one of the page before */
export async function listDeployments(
  context: Context,
  options: PlaceOptions,
  limit: number,
  before?: string,
): Promise<Deployment[]> {
  const path = await environmentPath(context, options, 'deployments');
  return context.hub().get(path, z.array(Deployment), { limit, before });
}

/** Those that have not ended, in the order of their turns: the first has the environment, or is next. Among the last hundred. */
export async function listOpen(context: Context, options: PlaceOptions): Promise<Deployment[]> {
  const newestFirst = await listDeployments(context, options, PAGE);
  return newestFirst.filter(({ status }) => status === 'running' || status === 'queued').toReversed();
}

/** The one that serves, however many have failed or were skipped since; null where nothing is live yet. */
export async function findLive(context: Context, options: PlaceOptions): Promise<string | null> {
  return (await context.hub().get(await environmentPath(context, options), Environment)).liveDeploymentId;
}

/**
 * The newest release from before the one whose image serves. A rollback, and what was deployed again, stand in the history as
 * deployments of their own: from them it goes back to where their image comes from, or each rollback would undo the last.
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
