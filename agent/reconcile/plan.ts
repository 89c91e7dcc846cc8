/**
 * Decide, then do: the pure half of reconcile. From what is observed on the host and what the journal holds to the list of
 * actions that makes them agree. It never guesses: what could not be observed leads to no action.
 */
import { isSameEdge } from '../../protocol/edge-order.ts';
import type { TableView } from '../../protocol/proxy-admin.ts';
import type { ContainerState } from '../deployment/ports.ts';
import type { JobRecord, LiveRecord } from '../deployment/records.ts';

type UpstreamView = TableView['upstreams'][number];

/** What the plan needs to know of a container. */
export type ObservedContainer = Pick<
  ContainerState,
  'name' | 'deploymentId' | 'environmentId' | 'projectId' | 'running' | 'address'
>;

export interface Observed {
  /** All containers of this agent; null when the engine does not answer. */
  readonly containers: readonly ObservedContainer[] | null;
  /** The proxy's table; null when the proxy does not answer. */
  readonly table: TableView | null;
  /** Deployments that have a workspace folder. */
  readonly workspaces: readonly string[];
}

type Unfinished = Pick<JobRecord, 'deploymentId' | 'environmentId' | 'kind' | 'state'>;

export interface Remembered {
  readonly live: readonly LiveRecord[];
  /** Deployments that wait or run, and their environments: nothing of those is taken away. */
  readonly unfinished: readonly Unfinished[];
}

export type Action =
  /** The journal was lost, or is of an older copy: take over what serves. */
  | { readonly kind: 'adopt'; readonly live: LiveRecord }
  /** Start it if need be, probe it, and let the proxy's table name the address that it has now. */
  | { readonly kind: 'revive'; readonly live: LiveRecord; readonly why: string }
  | { readonly kind: 'remove-container'; readonly name: string; readonly deploymentId: string }
  | { readonly kind: 'remove-workspace'; readonly deploymentId: string };

/** What to do, in this order: first what serves, last what is swept up. */
export function plan(observed: Observed, remembered: Remembered): readonly Action[] {
  const adopted = adoptions(observed, remembered);
  const live = [...remembered.live, ...adopted.map((action) => action.live)];
  return [
    ...adopted,
    ...revivals(observed, remembered, live),
    ...strayContainers(observed, remembered, live),
    ...strayWorkspaces(observed, remembered),
  ];
}

/** A newer flip that the journal has not heard of. One that was taken back left its generation behind and nothing else. */
const isBehind = ({ deploymentId, entry }: LiveRecord, upstream: UpstreamView): boolean =>
  upstream.generation > entry.generation && activeOf(upstream)?.id !== deploymentId;

type ActionOf<K extends Action['kind']> = Extract<Action, { kind: K }>;

/**
 * An upstream whose active target is a container of ours, in an environment of which the journal knows nothing, or less than the
 * proxy: it was put back from an older copy.
 */
function adoptions({ containers, table }: Observed, { live, unfinished }: Remembered): ActionOf<'adopt'>[] {
  if (containers === null || table === null) return [];
  const busy = new Set(unfinished.map(({ environmentId }) => environmentId));
  const known = (upstream: UpstreamView): boolean =>
    busy.has(upstream.id) || live.some((one) => one.environmentId === upstream.id && !isBehind(one, upstream));
  return table.upstreams.flatMap((upstream): ActionOf<'adopt'>[] => {
    const target = activeOf(upstream);
    const container = containers.find(
      ({ deploymentId, environmentId }) => deploymentId === target?.id && environmentId === upstream.id,
    );
    if (!target || !container || known(upstream)) return [];
    const { id, address, port } = target;
    return [
      {
        kind: 'adopt',
        live: {
          environmentId: upstream.id,
          projectId: container.projectId,
          deploymentId: container.deploymentId,
          entry: {
            id: upstream.id,
            generation: upstream.generation,
            targets: [{ id, address, port }],
            routes: upstream.routes,
            edge: upstream.edge,
          },
          healthCheck: null,
          release: null,
        },
      },
    ];
  });
}

function revivals(observed: Observed, { unfinished }: Remembered, live: readonly LiveRecord[]): ActionOf<'revive'>[] {
  return live.flatMap((one): ActionOf<'revive'>[] => {
    const upstream = observed.table?.upstreams.find(({ id }) => id === one.entry.id);
    if (upstream && isHeldByDeployment(upstream, unfinished)) return [];
    if (isBeingRemoved(one.environmentId, unfinished)) return [];
    const why = whyRevive(observed, one);
    return why === null ? [] : [{ kind: 'revive', live: one, why }];
  });
}

/** A deployment holds the visitors: it has stopped the container itself, to make room, or has yet to start it again. */
export const isHeldByDeployment = ({ id, held }: UpstreamView, unfinished: readonly Unfinished[]): boolean =>
  held !== null && unfinished.some(({ environmentId, state }) => environmentId === id && state !== 'queued');

/** What a removal takes off the host is not brought back beside it. */
export const isBeingRemoved = (environmentId: string, unfinished: readonly Unfinished[]): boolean =>
  unfinished.some((one) => one.kind === 'remove' && one.environmentId === environmentId);

/** Null when the live target runs and the table names it, or when that cannot be seen. */
function whyRevive({ containers, table }: Observed, live: LiveRecord): string | null {
  const { deploymentId, entry } = live;
  if (containers === null) return null;
  const container = containers.find((one) => one.deploymentId === deploymentId);
  const upstream = table?.upstreams.find(({ id }) => id === entry.id);
  // The deployment that flipped is still at work, or what it flipped to is adopted.
  if (upstream && isBehind(live, upstream)) return null;
  if (!container) return 'its container is gone';
  if (!container.running) return 'its container does not run';
  return table === null ? null : whyReroute(upstream, live, container.address);
}

function whyReroute(
  upstream: UpstreamView | undefined,
  { deploymentId, entry }: LiveRecord,
  address: string | null,
): string | null {
  if (!upstream) return 'the proxy does not know its route';
  const active = activeOf(upstream);
  if (upstream.generation < entry.generation || active?.id !== deploymentId) return 'the proxy names an older target';
  if (!isServedAt(upstream, deploymentId, address)) return 'its address has changed';
  if (!isSameEdge(upstream, entry)) return 'its edge settings have changed';
  return upstream.held === null ? null : 'visitors are held, and no deployment is at work';
}

/** Whether the container at `address` is one of the active copies. */
export const isServedAt = ({ targets }: UpstreamView, deploymentId: string, address: string | null): boolean =>
  targets.some((target) => target.state === 'healthy' && target.id === deploymentId && target.address === address);

const activeOf = ({ targets }: UpstreamView): UpstreamView['targets'][number] | undefined =>
  targets.find(({ state }) => state === 'healthy');

/** Containers that no live or unfinished deployment needs and that the proxy does not name. */
function strayContainers(
  { containers, table }: Observed,
  { unfinished }: Remembered,
  live: readonly LiveRecord[],
): ActionOf<'remove-container'>[] {
  // Without the table it cannot be told what still serves or drains.
  if (containers === null || table === null) return [];
  const busy = new Set(unfinished.map(({ environmentId }) => environmentId));
  const needed = new Set(live.map(({ deploymentId }) => deploymentId));
  const named = new Set(
    table.upstreams.flatMap(({ targets }) => targets.filter(({ state }) => state !== 'gone').map(({ id }) => id)),
  );
  return containers
    .filter(
      ({ deploymentId, environmentId }) =>
        !busy.has(environmentId) && !needed.has(deploymentId) && !named.has(deploymentId),
    )
    .map(({ name, deploymentId }) => ({ kind: 'remove-container', name, deploymentId }));
}

function strayWorkspaces({ workspaces }: Observed, { unfinished }: Remembered): ActionOf<'remove-workspace'>[] {
  const needed = new Set(unfinished.map(({ deploymentId }) => deploymentId));
  return workspaces
    .filter((deploymentId) => !needed.has(deploymentId))
    .map((deploymentId) => ({ kind: 'remove-workspace', deploymentId }));
}
