/** Deployments of an environment, newest first. */
import { z } from 'zod';
import { Deployment, Environment } from '../api/schemas.ts';
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

/** The newest release before the one that serves. */
export async function findPreviousRelease(context: Context, options: PlaceOptions): Promise<Deployment | undefined> {
  let before = (await findLive(context, options)) ?? undefined;
  for (;;) {
    const page = await listDeployments(context, options, PAGE, before);
    const found = page.find(({ status }) => status === 'superseded');
    if (found !== undefined || page.length < PAGE) return found;
    before = page.at(-1)?.id;
  }
}
