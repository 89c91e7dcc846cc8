/** THE rule by which a route is served by the general engine: whatever needs more than bytes passed on as they are. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Domain } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';

/**
 * Requests that meet a hold go there too, whatever their route says.
 * @param canary of the upstream; one by weight alone is a matter of the claim, which every engine makes
 */
export function needsGeneral(
  route: Pick<Domain, 'stripPrefix'>,
  edge: EdgeSettings,
  canary?: UpstreamEntry['canary'],
): boolean {
  return (
    route.stripPrefix === true ||
    edge.appProtocol === 'h2c' ||
    edge.compression ||
    edge.basicAuth.length > 0 ||
    Object.keys(edge.errorPages).length > 0 ||
    canary?.cookie !== undefined
  );
}
