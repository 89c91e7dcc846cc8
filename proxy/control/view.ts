/** The table and its counts as the admin API shows them. */
import type { TableView, TargetView, UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { TargetCounts, UpstreamCounts } from '../upstream/counts.ts';

/** @param counts null: no plane knows the upstream (yet) */
export function viewUpstream(entry: UpstreamEntry, counts: UpstreamCounts | null): TableView['upstreams'][number] {
  const { id, generation, routes, edge, canary } = entry;
  return {
    id,
    generation,
    routes,
    edge,
    targets: (counts?.targets ?? []).filter(isOpen).map(viewTarget),
    failed: counts?.failed ?? 0,
    held: counts?.held ?? null,
    canary: canary
      ? {
          targetId: canary.targets[0]?.id ?? '',
          weightPercent: canary.weightPercent,
          cookie: canary.cookie ?? null,
        }
      : null,
  };
}

/** A retired target with nothing in flight is gone: its container may be stopped. */
function isOpen({ role, inFlight }: TargetCounts): boolean {
  return role !== 'retired' || inFlight > 0;
}

function viewTarget(counts: TargetCounts): TargetView {
  const { id, address, port, role, inFlight, streams, served, failed, abandoned, errors, suspended } = counts;
  const state = role === 'retired' ? 'draining' : 'healthy';
  return { id, address, port, state, inFlight, streams, requests: { served, failed }, abandoned, errors, suspended };
}
