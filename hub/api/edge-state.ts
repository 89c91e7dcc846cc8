/** Whether the edge settings of an environment are in effect, or why not. */
import { SINCE } from '../../protocol/versions.ts';
import type { HostLinks } from '../deps.ts';
import { parseError } from '../store/events.ts';
import type { Row } from '../store/schema.ts';
import type { EdgeState } from './schemas.ts';

export function edgeStateOf(row: Row<'environment'>, isLive: boolean, links: Pick<HostLinks, 'peer'>): EdgeState {
  const error = parseError(row.edge_error);
  if (!isLive) return { state: 'deployment', error: null };
  if (row.edge_applied >= row.edge_revision) return { state: 'active', error: null };
  const peer = links.peer(row.host_id);
  if (peer === undefined) return { state: 'offline', error: null };
  if (peer.protocol < SINCE.edgeOrders) return { state: 'deployment', error: null };
  return error === null ? { state: 'sent', error: null } : { state: 'failed', error };
}
