/**
 * Sends changed edge settings to the host of the live deployment at once, and again on each connection until the host
 * reports that they are in effect. A host with protocol 2 does not know the order: its next deployment applies them.
 */
import type { EdgeNews, HubMessage } from '../../protocol/agent-link.ts';
import { EDGE_ORDER_VERSION, edgePartOf } from '../../protocol/edge-order.ts';
import { toErrorReport } from '../../protocol/errors.ts';
import { signEdgeOrder } from '../../protocol/signing.ts';
import { SINCE } from '../../protocol/versions.ts';
import type { CoreDeps, HostLinks } from '../deps.ts';
import { mustFit } from './dispatch.ts';
import { type EdgePlaces, listBehind, storeEdgeNews } from '../store/edge-revisions.ts';
import { liveDeployments, readSettings } from '../store/environments.ts';
import type { Row } from '../store/schema.ts';

/** More revisions than any environment ever has. A higher number is bogus and must not become the base of new ones. */
const MAX_REVISIONS = 2 ** 31;

interface EdgeOrders {
  /** Sends settings that connected hosts do not have yet. */
  send(of: EdgePlaces): Promise<void>;
  heard(hostId: string, news: EdgeNews): Promise<void>;
}

export function makeEdgeOrders(deps: CoreDeps & { readonly links: HostLinks }): EdgeOrders {
  const { db, clock, links, hubKey } = deps;

  const messageFor = (environment: Row<'environment'>): HubMessage => {
    const order = {
      version: EDGE_ORDER_VERSION,
      kind: 'edge',
      hostId: environment.host_id,
      issuedAt: clock.now().toISOString(),
      environmentId: environment.id,
      revision: environment.edge_revision,
      ...edgePartOf(readSettings(environment)),
    } as const;
    return { type: 'edge', envelope: signEdgeOrder(order, hubKey.privateKey) };
  };

  const send: EdgeOrders['send'] = async (of) => {
    const behind = await listBehind(db, of);
    if (behind.length === 0) return;
    const live = await liveDeployments(
      db,
      behind.map(({ id }) => id),
    );
    for (const environment of behind) {
      const { protocol = 0 } = links.peer(environment.host_id) ?? {};
      if (live.has(environment.id) && protocol >= SINCE.edgeOrders) await sendTo(environment);
    }
  };

  const sendTo = async (environment: Row<'environment'>): Promise<void> => {
    const { id, host_id: hostId, edge_revision: revision } = environment;
    try {
      const message = messageFor(environment);
      mustFit(message);
      links.send(hostId, message);
    } catch (error) {
      const news: EdgeNews = { type: 'edge-state', environmentId: id, revision, error: toErrorReport(error) };
      await storeEdgeNews(db, hostId, news);
    }
  };

  return {
    send,
    async heard(hostId, news) {
      if (news.revision > MAX_REVISIONS) return;
      const isOurs = await db.transaction().execute((trx) => storeEdgeNews(trx, hostId, news));
      if (!isOurs) await send({ environmentId: news.environmentId });
    },
  };
}
