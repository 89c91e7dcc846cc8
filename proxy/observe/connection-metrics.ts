/** Connections of one process, to clients and to targets. */
import { counter, gauge } from './snapshot.ts';
import type { Family } from './snapshot.ts';

/** @param clients `ConnectionCaps.counts` @param targets `Pools.counts` */
export function connectionFamilies(
  clients: { readonly open: number; readonly refused: number },
  targets: { readonly idle: number; readonly busy: number },
): Family[] {
  return [
    gauge('orkestr_proxy_connections', 'Client connections that are open.', clients.open),
    counter('orkestr_proxy_connections_refused_total', 'Client connections that were too many.', clients.refused),
    gauge('orkestr_proxy_target_connections', 'Connections of the fast engine to targets.', [
      [{ state: 'idle' }, targets.idle],
      [{ state: 'busy' }, targets.busy],
    ]),
  ];
}
