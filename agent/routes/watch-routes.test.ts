import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { HUB_UPSTREAM } from '../../protocol/hub-upstream.ts';
import { IDS } from '../deployment/test-job.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import { showRoutes } from './watch-routes.ts';
import type { RoutesParts } from './watch-routes.ts';

const TABLE = tableView(
  upstreamView({
    id: IDS.environment,
    routes: [{ host: 'shop.example.com', pathPrefix: '/' }],
    targets: [targetView({ id: IDS.host })],
  }),
);
const forever = new AbortController().signal;

function bench(changes: Partial<RoutesParts> = {}, terminal: object = {}) {
  const out = Object.assign(new PassThrough(), terminal);
  const parts: RoutesParts = {
    proxy: { table: async () => TABLE },
    names: async () => new Map([[IDS.environment, 'shop/production']]),
    out,
    monotonic: () => 0,
    ...changes,
  };
  return { parts, out, written: () => String(out.read() ?? '') };
}

test('the output without a terminal is one snapshot', async () => {
  const { parts, written } = bench();
  await showRoutes(parts, { signal: forever });
  assert.match(written(), /^ROUTE [^\n]+\nshop\.example\.com  shop\/production  172\.30\.0\.2:8080 [^\n]+\n$/);
});

test("the hub's own route has a name", async () => {
  const table = tableView(upstreamView({ id: HUB_UPSTREAM, routes: [{ host: 'hub.example.com', pathPrefix: '/' }] }));
  const { parts, written } = bench({ proxy: { table: async () => table } });
  await showRoutes(parts, { once: true, signal: forever });
  assert.match(written(), /^hub\.example\.com  orkestr hub$/m);
});

test('--json prints the table with names and without settings', async () => {
  const { parts, written } = bench();
  await showRoutes(parts, { json: true, signal: forever });
  const [upstream] = (JSON.parse(written()) as { upstreams: Record<string, unknown>[] }).upstreams;
  assert.equal(upstream?.name, 'shop/production');
  assert.ok(upstream !== undefined && !('edge' in upstream));
});

test('a snapshot of a proxy that does not answer is an error', async () => {
  const away = () => Promise.reject(new OrkestrError('ORK_PROXY_UNREACHABLE', 'away'));
  const { parts } = bench({ proxy: { table: away } });
  for (const options of [{ json: true }, { once: true }])
    await assert.rejects(showRoutes(parts, { ...options, signal: forever }), { code: 'ORK_PROXY_UNREACHABLE' });
});

test('the live view continues while the proxy restarts, fits the size of the terminal, and ends on an abort', async () => {
  const over = new AbortController();
  let looks = 0;
  const table = async () => {
    looks += 1;
    if (looks === 1) throw new OrkestrError('ORK_PROXY_UNREACHABLE', 'The proxy does not answer.');
    over.abort();
    return TABLE;
  };
  const { parts, written } = bench({ proxy: { table } }, { isTTY: true, columns: 20, rows: 5 });
  await showRoutes(parts, { signal: over.signal });
  const [, first, second] = written().split('\u001b[H\u001b[J');
  assert.equal(first, 'The proxy does not a');
  assert.ok(second?.split('\n').every((line) => line.length <= 20));
  assert.match(second ?? '', /^shop\.example\.com {2}sh/m);
});
