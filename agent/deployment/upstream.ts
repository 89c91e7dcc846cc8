/** An environment in the proxy's table, and what a flip sends of it. */
import type { Canary, UpstreamEntry, UpstreamView } from '../../protocol/proxy-admin.ts';
import type { StepContext } from './step.ts';

/** That of the job's environment in the table now; undefined: nothing of it has been flipped to yet. */
export async function upstreamOf({ job, ports }: StepContext): Promise<UpstreamView | undefined> {
  const { upstreams } = await ports.proxy.table();
  return upstreams.find(({ id }) => id === job.environment.id);
}

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
