/** Tables of the proxy for tests: full views from the parts that a test cares about. */
import { EdgeSettings } from '../../protocol/edge.ts';
import type { TableView, TargetView, UpstreamView } from '../../protocol/proxy-admin.ts';

/** A healthy target that has served nothing yet. */
export const targetView = (parts: Pick<TargetView, 'id'> & Partial<TargetView>): TargetView => ({
  address: '172.30.0.2',
  port: 8080,
  state: 'healthy',
  inFlight: 0,
  streams: 0,
  requests: { served: 0, failed: 0 },
  abandoned: 0,
  errors: 0,
  suspended: false,
  ...parts,
});

/** An upstream without hold and canary. */
export const upstreamView = (parts: Pick<UpstreamView, 'id'> & Partial<UpstreamView>): UpstreamView => ({
  generation: 1,
  routes: [],
  edge: EdgeSettings.parse({}),
  targets: [],
  failed: 0,
  held: null,
  canary: null,
  ...parts,
});

export const tableView = (...upstreams: UpstreamView[]): TableView => ({
  version: 1,
  startedAt: new Date(0).toISOString(),
  upstreams,
});
