/**
 * Decide, then do: the pure half of reconcile. From what is observed on the host and what the journal holds, it
 * computes the actions that make them agree. It never guesses: what could not be observed leads to no action.
 */
import { isSameEdge } from '../../protocol/edge-order.ts';
import type { TableView, UpstreamView } from '../../protocol/proxy-admin.ts';
import type { ContainerState } from '../deployment/ports.ts';
import type { JobRecord, LiveRecord } from '../deployment/records.ts';

/** The facts about a container that the plan needs. */
export type ObservedContainer = Pick<
  ContainerState,
  'name' | 'deploymentId' | 'environmentId' | 'projectId' | 'running' | 'address'
>;

export interface Observed {
  /** All containers of this agent; null if the engine does not answer. */
  readonly containers: readonly ObservedContainer[] | null;
  /** The proxy's table; null if the proxy does not answer. */
  readonly table: TableView | null;
  /** Deployments that have a workspace folder. */
  readonly workspaces: readonly string[];
}

type Unfinished = Pick<JobRecord, 'deploymentId' | 'environmentId' | 'kind' | 'state'>;

export interface Remembered {
  readonly live: readonly LiveRecord[];
  /** Deployments that wait or run. Nothing of theirs, or of their environments, is removed. */
  readonly unfinished: readonly Unfinished[];
}

export type Action =
  /** The journal was lost, or restored from an older copy: take over what serves. */
  | { readonly kind: 'adopt'; readonly live: LiveRecord }
  /** Start it if necessary, probe it, and point the proxy's table at its current address. */
  | { readonly kind: 'revive'; readonly live: LiveRecord; readonly why: string }
  | { readonly kind: 'remove-container'; readonly name: string; readonly deploymentId: string }
  | { readonly kind: 'remove-workspace'; readonly deploymentId: string };

/** The actions in this order: what serves comes first, clean-up last. */
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

/**
 * The proxy has a newer flip that the journal does not know. A flip that was undone leaves only its generation behind.
 */
const isBehind = ({ deploymentId, entry }: LiveRecord, upstream: UpstreamView): boolean =>
  upstream.generation > entry.generation && activeOf(upstream)?.id !== deploymentId;

type ActionOf<K extends Action['kind']> = Extract<Action, { kind: K }>;

/**
 * Upstreams whose active target is a container of ours, in an environment of which the journal knows nothing, or less
 * than the proxy because it was restored from an older copy.
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

/** A deployment holds the requests: it stopped the container itself, to make room, or has yet to start it again. */
export const isHeldByDeployment = ({ id, held }: UpstreamView, unfinished: readonly Unfinished[]): boolean =>
  held !== null && unfinished.some(({ environmentId, state }) => environmentId === id && state !== 'queued');

/** An environment that is being removed is not revived meanwhile. */
export const isBeingRemoved = (environmentId: string, unfinished: readonly Unfinished[]): boolean =>
  unfinished.some((one) => one.kind === 'remove' && one.environmentId === environmentId);

/**
 * Whether a deployment or removal decides now what runs of the environment, and may have stopped it. Without the table,
 * any that is under way may hold its requests.
 */
export function isInOtherHands({ table }: Observed, { unfinished }: Remembered, live: LiveRecord): boolean {
  const { environmentId } = live;
  if (isBeingRemoved(environmentId, unfinished)) return true;
  const upstream = table?.upstreams.find(({ id }) => id === live.entry.id);
  if (upstream) return isBehind(live, upstream) || isHeldByDeployment(upstream, unfinished);
  return unfinished.some((one) => one.environmentId === environmentId && one.state !== 'queued');
}

/** Null if the live target runs and the table names it, or if that cannot be observed. */
function whyRevive({ containers, table }: Observed, live: LiveRecord): string | null {
  const { deploymentId, entry } = live;
  if (containers === null) return null;
  const container = containers.find((one) => one.deploymentId === deploymentId);
  const upstream = table?.upstreams.find(({ id }) => id === entry.id);
  // The deployment that flipped is still in progress, or the target of its flip gets adopted.
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
  // Without the table it is unknown which containers still serve or drain.
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
