/** Deployments of an environment, newest first. */
import { z } from 'zod';
import { Deployment } from '../api/schemas.ts';
import type { Context } from './context.ts';
import { environmentPath } from './place.ts';
import type { PlaceOptions } from './place.ts';

const PAGE = 100;

export async function listDeployments(context: Context, options: PlaceOptions, limit: number): Promise<Deployment[]> {
  const path = await environmentPath(context, options, 'deployments');
  return context.hub().get(path, z.array(Deployment), { limit });
}

/** The newest deployment that `wanted` takes, among the last hundred. */
export async function findDeployment(
  context: Context,
  options: PlaceOptions,
  wanted: (deployment: Deployment) => boolean,
): Promise<Deployment | undefined> {
  return (await listDeployments(context, options, PAGE)).find(wanted);
}
