/**
 * New edge settings that come on their own, without a deployment. They are stored first, then put into the proxy's
 * table at once, whatever deployment is in progress. If the proxy does not take them, that is reported and retried
 * until it does.
 */
import type { EdgeNews } from '../../protocol/agent-link.ts';
import type { EdgeOrder } from '../../protocol/edge-order.ts';
import { isSameEdge } from '../../protocol/edge-order.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Domain } from '../../protocol/edge.ts';
import type { UpstreamView } from '../../protocol/proxy-admin.ts';
import type { Clock, EdgeProxy } from './ports.ts';
import type { EdgeRecord } from './records.ts';
import { holdersOf, isSameRoute } from './taken-routes.ts';

/** How many times to try while flips come in between. */
const TRIES = 3;
/** The pause after a failure. It doubles, up to the longest. */
const AGAIN_MS = 5_000;
const LONGEST_AGAIN_MS = 60_000;

/** The part of an order that this version can read even if the rest is unknown to it. */
type NamedOrder = Pick<EdgeOrder, 'environmentId' | 'revision'>;

export interface EdgeOrders {
  /** Never throws because of the order's content. */
  accept(order: EdgeOrder): void;
  /** Reports that an order could not be read. */
  refuse(order: NamedOrder, error: ErrorReport): void;
  /**
   * Makes the proxy agree with the settings known for the environment and reports the result. No-op if none are known.
   */
  look(environmentId: string): void;
  /** Calls `listener` at each change. One listener at a time; null removes it. */
  onNews(listener: ((news: EdgeNews) => void) | null): void;
  /** Resolves when nothing is in progress. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

interface EdgeOrderParts {
  readonly journal: {
    edge(environmentId: string): EdgeRecord | null;
    takeEdge(order: EdgeOrder): void;
  };
  readonly proxy: Pick<EdgeProxy, 'table' | 'edge'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export function makeEdgeOrders({ journal, proxy, clock, log }: EdgeOrderParts): EdgeOrders {
  /** Environments to bring up to date, in order of arrival: one may give up a name that another takes. */
  const waiting = new Set<string>();
  const stopped = new AbortController();
  /** Next pause of environments whose last try failed. */
  const pauses = new Map<string, number>();
  /** Environments whose next try is scheduled: the hub repeats an order until it is answered, and each may fail. */
  const asleep = new Set<string>();
  let listener: ((news: EdgeNews) => void) | null = null;
  let working: Promise<void> | null = null;

  const tell = (news: Omit<EdgeNews, 'type'>): void => listener?.({ type: 'edge-state', ...news });

  const work = async (): Promise<void> => {
    try {
      for (const environmentId of waiting) {
        if (stopped.signal.aborted) return;
        waiting.delete(environmentId);
        await bring(environmentId);
      }
    } finally {
      working = null; // in the same turn as the loop's last check, or a new environment would wait
    }
  };

  const look = (environmentId: string): void => {
    waiting.add(environmentId);
    working ??= work();
  };

  const bring = async (environmentId: string): Promise<void> => {
    let revision = 0;
    try {
      const wanted = journal.edge(environmentId);
      if (wanted === null) return;
      ({ revision } = wanted);
      await apply({ proxy, journal }, wanted);
      pauses.delete(environmentId);
      tell({ environmentId, revision });
    } catch (error) {
      log.warn({ err: error, environmentId, revision }, 'the proxy does not have the new edge settings yet');
      tell({ environmentId, revision, error: toErrorReport(error) });
      again(environmentId);
    }
  };

  const again = (environmentId: string): void => {
    if (asleep.has(environmentId)) return;
    const pause = pauses.get(environmentId) ?? AGAIN_MS;
    pauses.set(environmentId, Math.min(2 * pause, LONGEST_AGAIN_MS));
    asleep.add(environmentId);
    clock.sleep(pause, stopped.signal).then(
      () => {
        asleep.delete(environmentId);
        look(environmentId);
      },
      () => undefined, // stopped: the hub sends the order again on the next connection
    );
  };

  return {
    accept(order) {
      try {
        journal.takeEdge(order);
      } catch (error) {
        log.error({ err: error, environmentId: order.environmentId }, 'the journal does not take new edge settings');
        return tell({ environmentId: order.environmentId, revision: 0, error: toErrorReport(error) });
      }
      look(order.environmentId);
    },
    refuse: (order, error) => tell({ ...order, error }),
    look,
    onNews: (next) => void (listener = next),
    async idle() {
      await working;
    },
    async stop() {
      stopped.abort();
      await working;
    },
  };
}

/** Applies to whichever target serves. If the environment is not in the table, there is nothing to set. */
async function apply(
  { proxy, journal }: Pick<EdgeOrderParts, 'proxy' | 'journal'>,
  { environmentId, routes, edge }: EdgeRecord,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { upstreams } = await proxy.table();
    const upstream = upstreams.find(({ id }) => id === environmentId);
    if (upstream === undefined || isSameEdge(upstream, { routes, edge })) return;
    const request = { upstreamId: environmentId, expectedGeneration: upstream.generation, routes, edge };
    try {
      for (const holder of holdersOf({ upstreams }, environmentId, routes)) {
        await giveUp(proxy, holder, routes, journal.edge(holder.id));
      }
      await proxy.edge(request);
      return;
    } catch (error) {
      const wasFlipped = error instanceof OrkestrError && error.code === 'ORK_GENERATION_STALE';
      if (attempt === TRIES || !wasFlipped) throw error;
    }
  }
}

/** Two environments that swapped names would wait for each other forever: first take what the holder is to give up. */
async function giveUp(
  proxy: EdgeOrderParts['proxy'],
  holder: UpstreamView,
  routes: readonly Domain[],
  theirs: EdgeRecord | null,
): Promise<void> {
  const isGivenUp = (held: Domain): boolean =>
    theirs !== null &&
    routes.some((route) => isSameRoute(route, held)) &&
    !theirs.routes.some((kept) => isSameRoute(kept, held));
  const left = holder.routes.filter((held) => !isGivenUp(held));
  if (left.length === holder.routes.length) return;
  const { id: upstreamId, generation: expectedGeneration, edge } = holder;
  await proxy.edge({ upstreamId, expectedGeneration, routes: left, edge });
}
