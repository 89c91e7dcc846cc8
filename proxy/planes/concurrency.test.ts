import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as forAll, asyncProperty, boolean, integer, nat, property, record } from 'fast-check';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { Plane } from '../plane.ts';
import { ClientRates } from '../policy/client-rates.ts';
import type { InFlight } from '../upstream/target.ts';
import { localPlanes } from './local.ts';
import type { Planes } from './planes.ts';
import { ConcurrencyShares, fairShares } from './concurrency.ts';

const ID = '01890a5d-ac96-774b-bcce-000000000000';
const clock = { now: () => new Date(0), monotonic: () => 0 };

function entry(maxConcurrent: number): UpstreamEntry {
  const targets = [{ id: ID, address: '127.0.0.1', port: 80 }];
  return { id: ID, generation: 1, targets, routes: [], edge: EdgeSettings.parse({ maxConcurrent }) };
}

interface Worker {
  readonly planes: Planes;
  /** @returns ends the claim; null: refused */
  claim(): (() => void) | null;
}

function worker(): Worker {
  const plane = new Plane(
    clock,
    { upstream: () => ({ ended: () => undefined }), unrouted: () => undefined, forget: () => undefined },
    () => [],
  );
  const snapshot = () => ({ families: [] });
  return {
    planes: localPlanes({ plane, rates: new ClientRates(), clock, snapshot, terminator: null }),
    claim: () => {
      const exchange: InFlight = { stream: null, cut: () => undefined, dismiss: () => undefined };
      const target = plane.upstreams()[0]?.claim(exchange) ?? null;
      return target && (() => target.release(exchange, 'served', 200));
    },
  };
}

/** Workers that serve one upstream, with the shares that a group would send them. */
async function serving(count: number, maxConcurrent: number) {
  const shares = new ConcurrencyShares(count);
  const workers = Array.from({ length: count }, worker);
  const tell = async (max: number, which: readonly Worker[] = workers): Promise<void> => {
    for (const { planes } of which) {
      await planes.put(entry(max));
      await planes.shareConcurrency(shares.sharesOf(planes, [entry(max)]));
    }
  };
  await tell(maxConcurrent);
  const round = () => shares.round(workers.map(({ planes }) => planes));
  return { shares, workers, tell, round };
}

/** Claims until it is refused. */
function fill(one: Worker): (() => void)[] {
  const ends: (() => void)[] = [];
  for (let end = one.claim(); end !== null; end = one.claim()) ends.push(end);
  return ends;
}

test('shares add up to the whole, and no worker gets less than an equal share unless it wants less', () => {
  const wants = array(nat(1000), { minLength: 1, maxLength: 16 });
  forAll(
    property(nat(1000), wants, (whole, wanted) => {
      const shares = fairShares(whole, wanted);
      assert.equal(
        shares.reduce((total, share) => total + share, 0),
        whole,
      );
      for (const [index, share] of shares.entries()) {
        assert.ok(share >= Math.min(wanted[index] ?? 0, Math.floor(whole / wanted.length)));
      }
    }),
  );
});

test('a client on one worker gets the whole limit, and another worker regains its share once some is free', async () => {
  const { workers, round } = await serving(3, 10);
  const [busy, other] = workers as [Worker, Worker];
  const ends = fill(busy);
  assert.equal(ends.length, 4);
  for (let rounds = 0; rounds < 4; rounds += 1) {
    await round();
    ends.push(...fill(busy));
  }
  assert.equal(ends.length, 10);
  assert.equal(other.claim(), null);
  for (const end of ends.splice(0, 6)) end();
  await round();
  assert.ok(other.claim());
});

test('a limit below the number of workers holds, and goes to the worker that has the requests', async () => {
  const { workers, round } = await serving(4, 1);
  const last = workers[3] as Worker;
  const [end, ...more] = workers.flatMap(fill);
  assert.deepEqual(more, []);
  await round();
  assert.equal(last.claim(), null, 'the one of the first worker is in flight');
  end?.();
  await round();
  assert.ok(last.claim());
});

test('for any sequence of requests and worker deaths no more are in flight than the limit', async () => {
  const step = record({ worker: nat(2), claims: nat(12), ends: nat(12), dies: boolean() });
  await forAll(
    asyncProperty(integer({ min: 1, max: 12 }), array(step, { maxLength: 30 }), async (max, steps) => {
      const { shares, workers, tell, round } = await serving(3, max);
      const open = workers.map((): (() => void)[] => []);
      for (const { worker: index, claims, ends, dies } of steps) {
        const under = open[index] as (() => void)[];
        for (const end of under.splice(0, ends)) end();
        const rounding = round();
        for (let left = claims; left > 0; left -= 1) {
          const end = workers[index]?.claim() ?? null;
          if (end) under.push(end);
          await Promise.resolve();
          assert.ok(open.flat().length <= max);
        }
        await rounding;
        if (!dies) continue;
        shares.leave((workers[index] as Worker).planes);
        workers[index] = worker();
        open[index] = [];
        await tell(max, [workers[index]]);
      }
    }),
  );
});

test('a changed limit is split again, and 0 means no limit', async () => {
  const { shares, workers, tell } = await serving(2, 4);
  await tell(8);
  assert.deepEqual(
    workers.map(fill).map(({ length }) => length),
    [4, 4],
  );
  await tell(0);
  assert.ok(workers[0]?.claim());
  assert.deepEqual(shares.sharesOf((workers[0] as Worker).planes, [entry(0)]), []);
});
