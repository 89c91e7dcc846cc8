import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { HoldRequest, WatchRequest } from '../../protocol/proxy-admin.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { Plane } from '../plane.ts';
import { PlaneGroup } from '../planes/group.ts';
import { localPlanes } from '../planes/local.ts';
import { ClientRates } from '../policy/client-rates.ts';
import type { UpstreamCounts } from '../upstream/counts.ts';
import { TableFile } from './table-file.ts';
import { Table } from './table.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
const clock = { now: () => new Date(0), monotonic: () => 0 };
const log = makeLogger('proxy', 'silent');

const entry = (generation: number): UpstreamEntry => ({
  id: uuid(0),
  generation,
  targets: [{ id: uuid(generation), address: '127.0.0.1', port: 80 }],
  routes: [],
  edge: EdgeSettings.parse({}),
});

/** Planes whose counts arrive when the test releases them. */
class SlowPlanes extends PlaneGroup {
  readonly counted = Promise.withResolvers<void>();

  override async counts(id?: string): Promise<UpstreamCounts[]> {
    await this.counted.promise;
    return super.counts(id);
  }
}

async function tableOf(t: TestContext, planes = new PlaneGroup(1, log)) {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-table-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const told = { upstream: () => ({ ended: () => undefined }), unrouted: () => undefined, forget: () => undefined };
  const plane = new Plane(clock, told, () => []);
  const snapshot = () => ({ families: [] });
  const member = localPlanes({ plane, rates: new ClientRates(), clock, snapshot, terminator: null });
  planes.join(member);
  return { table: await Table.restore(new TableFile(folder, log), planes, clock), planes, plane, member };
}

test('moving a target to another address is not a new flip: its previous target and its counts stay', async (t) => {
  const { table, planes, plane, member } = await tableOf(t);
  const exchange = { stream: null, cut: () => undefined, dismiss: () => undefined };
  const fail = (): void => plane.upstreams()[0]?.countFailure();
  await table.flip({ entry: entry(1), expectedGeneration: 0 });
  plane.upstreams()[0]?.claim(exchange);
  fail();
  await table.hold(HoldRequest.parse({ upstreamId: uuid(0), maxRequests: 1, maxBytes: 1 }));
  const flipped = await table.flip({ entry: entry(2), expectedGeneration: 1 });
  fail();
  const moved = { ...entry(2), targets: [{ id: uuid(2), address: '127.0.0.2', port: 80 }] };
  const answers = [
    await table.flip({ entry: moved, expectedGeneration: 2 }),
    await table.flip({ entry: moved, expectedGeneration: 2 }),
  ];
  assert.equal(flipped.previous?.targetId, uuid(1));
  assert.deepEqual(answers, [flipped, { ...flipped, changed: false }]);
  const receipt = await table.receipt(uuid(0));
  assert.deepEqual(
    [receipt.previous?.targetId, receipt.previous?.inFlightAtFlip, receipt.failed, receipt.held?.requests],
    [uuid(1), 1, 1, 0],
  );
  assert.notEqual(receipt.drain, null);
  planes.leave(member);
  await table.flip({ entry: entry(2), expectedGeneration: 2 });
  assert.equal(
    (await table.receipt(uuid(0))).failed,
    1,
    'nor is that forgotten which a plane had counted that is gone',
  );
  const back = await table.flipBack({ upstreamId: uuid(0), expectedGeneration: 2, targetId: uuid(1) });
  assert.equal(back.changed, true);
});

test('a watch that is open during a hand-over is not answered by the old process', async (t) => {
  const planes = new SlowPlanes(1, log);
  const { table } = await tableOf(t, planes);
  for (const generation of [1, 2]) await table.flip({ entry: entry(generation), expectedGeneration: generation - 1 });
  const watching = table.watch(WatchRequest.parse({ upstreamId: uuid(0), targetId: uuid(2), seconds: 1 }));
  await table.yield(() => Promise.resolve());
  planes.counted.resolve();
  await assert.rejects(watching, { code: 'ORK_PROXY_UNREACHABLE' });
});

test('an unreadable table is unreadable for the successor too, not empty', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-table-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const copy of ['a', 'b']) writeFileSync(join(folder, `table.${copy}.json`), '{"version":1,"upstreams":[{');
  const before = await Table.restore(new TableFile(folder, log), new PlaneGroup(1, log), clock);
  const successor = await Table.restore(new TableFile(folder, log), new PlaneGroup(1, log), clock, []);
  assert.notEqual(before.unreadable, null);
  assert.deepEqual(successor.unreadable, before.unreadable);
  await successor.flip({ entry: entry(1), expectedGeneration: 0 });
  assert.equal(successor.unreadable, null);
});
