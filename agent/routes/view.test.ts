import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableView } from '../../protocol/proxy-admin.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { Look } from './view.ts';
import { renderRoutes } from './view.ts';

const uuid = (n: number): string => `018f0000-0000-7000-8000-00000000000${n}`;
const NAMES = new Map([[uuid(1), 'shop/production']]);

const look = (table: TableView, at: number): Look => ({ table, at });
const served = (n: number, failed = 0) => ({ served: n, failed });

function table(requests: number, errors: number, failed: number): TableView {
  return tableView(
    upstreamView({
      id: uuid(1),
      routes: [
        { host: 'shop.example.com', pathPrefix: '/' },
        { host: 'example.com', pathPrefix: '/shop' },
      ],
      targets: [
        targetView({ id: uuid(3), inFlight: 12, streams: 3, requests: served(requests, 1), abandoned: 4, errors }),
        targetView({ id: uuid(2), address: '172.30.0.9', state: 'draining', inFlight: 2, streams: 2 }),
      ],
      failed,
    }),
  );
}

test('the view has a row per target with the changes since the last look', () => {
  const text = renderRoutes(look(table(1205, 7, 5), 3000), look(table(1000, 5, 2), 1000), NAMES);
  assert.deepEqual(
    text.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['ROUTE', 'ENVIRONMENT', 'TARGET', 'STATE', 'IN FLIGHT', 'STREAMS', 'REQ/S', 'ERRORS'],
      ['shop.example.com', 'shop/production', '172.30.0.2:8080', 'healthy', '12', '3', '102.5', '2'],
      ['example.com/shop', 'answered by the proxy: 3 failed', '172.30.0.9:8080', 'draining', '2', '2', '0.0', '0'],
    ],
  );
  const ends = text.split('\n').map((line) => line.length);
  assert.equal(new Set(ends).size, 1, 'numbers stand to the right');
});

test('an environment without a domain says so in place of its route', () => {
  const worker = tableView(upstreamView({ id: uuid(1), targets: [targetView({ id: uuid(2) })] }));
  assert.match(
    renderRoutes(look(worker, 0), null, NAMES),
    /^\(no domain\) +shop\/production +172\.30\.0\.2 +healthy /m,
  );
});

test('the first look, a restarted proxy and a new target have no rate yet', () => {
  const now = look(table(10, 0, 0), 2000);
  const restarted = { ...table(5, 0, 0), startedAt: '2031-01-01T00:00:00.000Z' };
  const other = tableView(upstreamView({ id: uuid(1), targets: [targetView({ id: uuid(5) })] }));
  for (const before of [null, look(restarted, 1000), look(other, 1000)]) {
    assert.match(renderRoutes(now, before, NAMES), /healthy +12 +3 +- +-$/m);
  }
});

test('the view shows a hold, a canary and a suspended target', () => {
  const held = tableView(
    upstreamView({
      id: uuid(4),
      routes: [{ host: 'a.example.com', pathPrefix: '/' }],
      targets: [targetView({ id: uuid(5), suspended: true }), targetView({ id: uuid(6) })],
      held: 7,
      canary: { targetId: uuid(6), weightPercent: 5, cookie: 'v=2' },
    }),
  );
  const text = renderRoutes(look(held, 1), null, NAMES);
  assert.match(text, new RegExp(`^a\\.example\\.com +${uuid(4)} +172\\.30\\.0\\.2:8080 +healthy, suspended `, 'm'));
  assert.match(text, /^ +held: 7 waiting +172\.30\.0\.2:8080 +healthy, canary /m);
  assert.match(text, /^ +canary: 5 % or v=2$/m);
});

test('the view of a host without routes says so', () => {
  assert.equal(renderRoutes(look(tableView(), 0), null, NAMES), 'No routes: nothing is deployed on this host.');
});
