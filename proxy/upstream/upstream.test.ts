import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { DrainPlan, InFlight } from './target.ts';
import { Upstream } from './upstream.ts';

const clock = { now: () => new Date(0), monotonic: () => 0 };
const plan: DrainPlan = { deadlineMs: 1000, streamDeadlineMs: 0, spreadMs: 0 };
const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;

/** @param ports one copy for each */
function entry(generation: number, target: number, ports: readonly number[] = [80]): UpstreamEntry {
  const targets = ports.map((port) => ({ id: uuid(target), address: '127.0.0.1', port }));
  const routes = [{ host: 'a.test', pathPrefix: '/' }];
  return { id: uuid(0), generation, targets, routes, edge: EdgeSettings.parse({}) };
}

function exchange(): InFlight {
  const never = (): never => {
    throw new Error('no drain of this test comes to its deadline');
  };
  return { stream: null, cut: never, dismiss: never };
}

test('a claim before a flip is on the old target, a claim after it on the new one', () => {
  const upstream = new Upstream(entry(1, 1), clock);
  const before = upstream.claim(exchange());
  const previous = upstream.apply(entry(2, 2));
  const after = upstream.claim(exchange());
  assert.deepEqual([before?.id, after?.id], [uuid(1), uuid(2)]);
  assert.deepEqual(previous, { targetId: uuid(1), inFlight: 1, streams: 0, requests: { served: 0, failed: 0 } });
});

test('new routes on the same target keep it, its counts and its claims', () => {
  const upstream = new Upstream(entry(1, 1), clock);
  const ended = exchange();
  upstream.claim(ended)?.release(ended, 'served', 200);
  assert.equal(upstream.apply({ ...entry(2, 1), routes: [{ host: 'b.test', pathPrefix: '/' }] }), null);
  assert.deepEqual(
    upstream.counts().targets.map(({ role, served }) => ({ role, served })),
    [{ role: 'active', served: 1 }],
  );
});

test('a flip back to an earlier target makes it active again while its old claims drain', async () => {
  const upstream = new Upstream(entry(1, 1), clock);
  const early = exchange();
  const old = upstream.claim(early);
  upstream.apply(entry(2, 2));
  upstream.apply(entry(3, 1));
  assert.equal(upstream.claim(exchange())?.id, uuid(1));
  await assert.rejects(upstream.drain(uuid(1), plan), { code: 'ORK_CONFLICT' });
  old?.release(early, 'served', 200);
  assert.equal((await upstream.drain(uuid(2), plan)).known, true);
});

test('a thousand flips without drains leave a limited number of targets', () => {
  const upstream = new Upstream(entry(1, 1), clock);
  for (let generation = 2; generation <= 1000; generation += 1) upstream.apply(entry(generation, generation));
  assert.ok(upstream.targets().length <= 5);
});

test('a retired upstream grants no claim', () => {
  const upstream = new Upstream(entry(1, 1), clock);
  upstream.retire();
  assert.equal(upstream.claim(exchange()), null);
});

test('the copy with the fewest requests in flight is claimed; one that refuses is used only if all do', () => {
  let now = 0;
  const upstream = new Upstream(entry(1, 1, [80, 81, 82]), { ...clock, monotonic: () => now });
  const [first, second, third] = [exchange(), exchange(), exchange()];
  const claimed = [first, second, third].map((one) => upstream.claim(one));
  assert.deepEqual(
    claimed.map((target) => target?.port),
    [80, 81, 82],
  );
  claimed[1]?.release(second, 'served', 200);
  assert.equal(upstream.claim(second)?.port, 81);
  claimed[1]?.withdraw(second);
  claimed[1]?.refused(now);
  assert.notEqual(upstream.claim(exchange())?.port, 81);
  for (const target of claimed) target?.refused(now);
  const again = exchange();
  const tried = upstream.claim(again);
  assert.ok(tried, 'all refuse, so any is tried');
  tried.release(again, 'failed', 0);
  now += 60_000;
  assert.equal(upstream.claim(exchange())?.port, 81, 'tried again after a while');
});

test('copies with equally few requests in flight take turns', () => {
  const upstream = new Upstream(entry(1, 1, [80, 81, 82]), clock);
  const ports = Array.from({ length: 6 }, () => {
    const one = exchange();
    const target = upstream.claim(one);
    target?.release(one, 'served', 200);
    return target?.port;
  });
  assert.deepEqual(ports, [80, 81, 82, 80, 81, 82]);
});

test('copies that keep their address keep their claims over a flip; the others are retired', () => {
  const upstream = new Upstream(entry(1, 1, [80, 81]), clock);
  const [first, second] = [exchange(), exchange()];
  const kept = upstream.claim(first);
  const gone = upstream.claim(second);
  assert.equal(upstream.apply(entry(2, 1, [80, 90])), null);
  assert.deepEqual([kept?.state, kept?.inFlight, gone?.state, gone?.inFlight], ['healthy', 1, 'draining', 1]);
});
