import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { WatchRequest } from '../../protocol/proxy-admin.ts';
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

/** Planes whose counts come when the test lets them. */
class SlowPlanes extends PlaneGroup {
  readonly counted = Promise.withResolvers<void>();

  override async counts(id?: string): Promise<UpstreamCounts[]> {
    await this.counted.promise;
    return super.counts(id);
  }
}

test('a watch that is asked for while the proxy hands over is not answered by the one that only drains', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-table-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const planes = new SlowPlanes(1, log);
  const told = { upstream: () => ({ ended: () => undefined }), unrouted: () => undefined, forget: () => undefined };
  const plane = new Plane(clock, told, () => []);
  const snapshot = () => ({ families: [] });
  planes.join(localPlanes({ plane, rates: new ClientRates(), clock, snapshot, terminator: null }));
  const table = await Table.restore(new TableFile(folder, log), planes, clock);
  for (const generation of [1, 2]) await table.flip({ entry: entry(generation), expectedGeneration: generation - 1 });
  const watching = table.watch(WatchRequest.parse({ upstreamId: uuid(0), targetId: uuid(2), seconds: 1 }));
  await table.yield(() => Promise.resolve());
  planes.counted.resolve();
  await assert.rejects(watching, { code: 'ORK_PROXY_UNREACHABLE' });
});

test('a table that cannot be read is missing to the successor, too, and not empty', async (t) => {
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
