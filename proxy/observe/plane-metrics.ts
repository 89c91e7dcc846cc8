/** What is in flight now, per upstream. Read from the plane at the scrape, so that it costs nothing in between. */
import { TargetRole } from '../upstream/counts.ts';
import type { TargetCounts, UpstreamCounts } from '../upstream/counts.ts';
import { gauge } from './snapshot.ts';
import type { Family, Values } from './snapshot.ts';

/** @param upstreams of this process, as `Plane.counts` returns them */
export function planeFamilies(upstreams: readonly UpstreamCounts[]): Family[] {
  const byRole = (of: (target: TargetCounts) => number): Values =>
    upstreams.flatMap(({ id, targets }) =>
      TargetRole.options.map((role) => {
        const sum = targets.filter((target) => target.role === role).reduce((total, target) => total + of(target), 0);
        return [{ upstream: id, role }, sum] as const;
      }),
    );
  const per = (of: (upstream: UpstreamCounts) => number): Values =>
    upstreams.map((one) => [{ upstream: one.id }, of(one)]);
  const suspended = per(({ targets }) => targets.filter((target) => target.suspended).length);
  return [
    gauge(
      'orkestr_proxy_in_flight',
      'Claims that are open; of retired targets: what drains.',
      byRole((t) => t.inFlight),
    ),
    gauge(
      'orkestr_proxy_streams',
      'WebSockets, event streams and gRPC streams of those.',
      byRole((t) => t.streams),
    ),
    gauge(
      'orkestr_proxy_held',
      'Requests that wait in a hold.',
      per(({ held }) => held ?? 0),
    ),
    // Each process finds out by itself which targets to pass over.
    gauge('orkestr_proxy_suspended_targets', 'Targets passed over, since they refuse connections.', suspended, 'max'),
  ];
}
