/**
 * New edge settings of an environment: signed by the hub like jobs, and put into the proxy's table by the agent without
 * a deployment. Revisions number an environment's changes; the newest one that a host has received counts.
 */
import { z } from 'zod';
import { Domain, EdgeSettings } from './edge.ts';
import { Timestamp, Uuid } from './ids.ts';
import type { Settings } from './job.ts';

export const EDGE_ORDER_VERSION = 1;

/** What the proxy gets for an environment in addition to its targets. */
export interface EdgePart {
  readonly routes: Domain[];
  readonly edge: EdgeSettings;
}

export const EdgeOrder = z.object({
  version: z.literal(EDGE_ORDER_VERSION),
  kind: z.literal('edge'),
  /** The only host that may apply it. */
  hostId: Uuid,
  issuedAt: Timestamp,
  environmentId: Uuid,
  revision: z.int().min(1),
  routes: z.array(Domain).max(50),
  /** Everything but `appProtocol`, which belongs to the running version and changes with it. */
  edge: EdgeSettings,
});
export type EdgeOrder = z.infer<typeof EdgeOrder>;

/** The settings whose changes the proxy gets at once. */
export const edgePartOf = ({ domains, edge }: Pick<Settings, 'domains' | 'edge'>): EdgePart => ({
  routes: domains,
  edge,
});

/** New settings for what serves. The app's protocol stays, because it belongs to the running version. */
export const keepingProtocol = ({ edge }: Pick<EdgePart, 'edge'>, serving: Pick<EdgePart, 'edge'>): EdgeSettings => ({
  ...edge,
  appProtocol: serving.edge.appProtocol,
});

/** Whether both are the same to visitors. Ignores the order of routes and the app's protocol. */
export function isSameEdge(one: EdgePart, other: EdgePart): boolean {
  return edgeKey(one) === edgeKey(other);
}

function edgeKey({ routes, edge: all }: EdgePart): string {
  const { appProtocol: _, ...edge } = all;
  const places = routes.map(({ host, pathPrefix, stripPrefix = false }) => `${host}${pathPrefix} ${stripPrefix}`);
  return JSON.stringify([places.toSorted(), edge]);
}

/** The paths of those changed settings that take effect only with the next deployment. */
export function settingsThatWait(change: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(change).flatMap(([name, value]) => {
    if (name === 'domains') return [];
    if (name !== 'edge') return [name];
    const touchesApp = value === null || (typeof value === 'object' && Object.hasOwn(value, 'appProtocol'));
    return touchesApp ? ['edge.appProtocol'] : [];
  });
}
