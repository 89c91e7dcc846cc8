/** The proxy: whether it responds, and which target serves which route with how many requests in flight. */
import type { TableView } from '../../protocol/proxy-admin.ts';
import { duration } from '../lib/duration.ts';
import type { Check } from './check.ts';

type Upstream = TableView['upstreams'][number];

export const proxy: Check = {
  name: 'proxy',
  async run(subject) {
    const { upstreams, startedAt } = await subject.proxy.table();
    const without = upstreams.filter(({ targets }) => !targets.some(({ state }) => state === 'healthy'));
    return {
      level: without.length > 0 ? 'degraded' : 'ok',
      summary: `${upstreams.length} ${upstreams.length === 1 ? 'upstream' : 'upstreams'}, up ${duration(subject.clock.now() - Date.parse(startedAt))}`,
      details: upstreams.flatMap(describe),
      // Without the edge settings: they contain password hashes.
      data: { startedAt, upstreams: upstreams.map(({ edge: _edge, ...upstream }) => upstream) },
    };
  },
};

function describe({ routes, targets }: Upstream): string[] {
  const where = routes.map(({ host, pathPrefix }) => `${host}${pathPrefix === '/' ? '' : pathPrefix}`).join(', ');
  return targets.map(({ address, port, state, inFlight, id }) =>
    routes.length === 0
      ? `no domain: ${address} ${state} (${id})`
      : `${where} -> ${address}:${port} ${state}, ${inFlight} in flight (${id})`,
  );
}
