/**
 * New edge settings of an environment by themselves: signed by the hub as jobs are, and put into the proxy's table by the
 * agent without a deployment. Revisions number the changes of one environment; the newest that a host has heard of counts.
 */
import { z } from 'zod';
import { Domain, EdgeSettings } from './edge.ts';
import { Timestamp, Uuid } from './ids.ts';
import type { Settings } from './job.ts';

export const EDGE_ORDER_VERSION = 1;

/** What the proxy is told of an environment beside its targets. */
export interface EdgePart {
  readonly routes: Domain[];
  readonly edge: EdgeSettings;
}

export const EdgeOrder = z.object({
  version: z.literal(EDGE_ORDER_VERSION),
  kind: z.literal('edge'),
  /** The one host that may obey it. */
  hostId: Uuid,
  issuedAt: Timestamp,
  environmentId: Uuid,
  revision: z.int().min(1),
  routes: z.array(Domain).max(50),
  /** All but `appProtocol`, which is of the version that runs, and changes with it. */
  edge: EdgeSettings,
});
export type EdgeOrder = z.infer<typeof EdgeOrder>;

/** Settings at whose change the proxy is told at once. */
export const edgePartOf = ({ domains, edge }: Pick<Settings, 'domains' | 'edge'>): EdgePart => ({
  routes: domains,
  edge,
});

/** New settings for what serves: what the app speaks is of the version that runs. */
export const keepingProtocol = ({ edge }: Pick<EdgePart, 'edge'>, serving: Pick<EdgePart, 'edge'>): EdgeSettings => ({
  ...edge,
  appProtocol: serving.edge.appProtocol,
});

/** The same to visitors, in whatever order the routes come; what the app speaks is not looked at. */
export function isSameEdge(one: EdgePart, other: EdgePart): boolean {
  return edgeKey(one) === edgeKey(other);
}

function edgeKey({ routes, edge: all }: EdgePart): string {
  const { appProtocol: _, ...edge } = all;
  const places = routes.map(({ host, pathPrefix, stripPrefix = false }) => `${host}${pathPrefix} ${stripPrefix}`);
  return JSON.stringify([places.toSorted(), edge]);
}

/** Of a change of settings, the paths of those that wait for the next deployment. */
export function settingsThatWait(change: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(change).flatMap(([name, value]) => {
    if (name === 'domains') return [];
    if (name !== 'edge') return [name];
    const touchesApp = value === null || (typeof value === 'object' && Object.hasOwn(value, 'appProtocol'));
    return touchesApp ? ['edge.appProtocol'] : [];
  });
}
