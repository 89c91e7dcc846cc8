/** THE rule for which routes need the general engine: all that do more than pass bytes on unchanged. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import type { Domain } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';

/**
 * Requests that meet a hold also use the general engine, whatever their route.
 * @param canary of the upstream; a canary by weight alone is decided in the claim, which every engine makes
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
    canary?.cookie !== undefined
  );
}
