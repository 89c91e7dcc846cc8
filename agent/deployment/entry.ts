/** Turns the proxy's table view into entries that a flip sends. */
import type { Canary, TableView, UpstreamEntry } from '../../protocol/proxy-admin.ts';

type UpstreamView = TableView['upstreams'][number];

/** The canary of an upstream. A flip without it would end it. */
export function canaryOf({ canary, targets }: UpstreamView): Canary | undefined {
  if (canary === null) return undefined;
  const { targetId, weightPercent, cookie } = canary;
  const copies = targets.filter(({ id }) => id === targetId).map(({ id, address, port }) => ({ id, address, port }));
  return { targets: copies, weightPercent, ...(cookie !== null && { cookie }) };
}

/** The same upstream with its active target at another address. The proxy treats that as a move. */
export function moved(upstream: UpstreamView, address: string): UpstreamEntry {
  const { id, generation, routes, edge, targets } = upstream;
  const active = targets.filter((target) => target.id === targets[0]?.id);
  const canary = canaryOf(upstream);
  return {
    id,
    generation,
    routes,
    edge,
    targets: active.map((target) => ({ id: target.id, address, port: target.port })),
    ...(canary && { canary }),
  };
}
