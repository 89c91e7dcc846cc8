import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { UpstreamEntry } from '../protocol/proxy-admin.ts';
import { judgeFlip, Upstream } from './upstream.ts';

const clock = { now: () => new Date(0), monotonic: () => 0 };

function entry(generation: number, target: number, port = 80, hosts: readonly string[] = ['a.test']): UpstreamEntry {
  const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
  const routes = hosts.map((host) => ({ host, pathPrefix: '/' }));
  return { id: uuid(0), generation, target: { id: uuid(target), address: '127.0.0.1', port }, routes };
}

test('however flips are repeated and shuffled, the generation only grows and every refused one changes nothing', () => {
  const request = fc.record({
    entry: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(3), fc.integer({ min: 80, max: 81 })),
    expectedGeneration: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
      let current = null as UpstreamEntry | null;
      for (const { entry: fields, expectedGeneration } of requests) {
        const next = entry(...fields);
        const before = current;
        try {
          if (judgeFlip(current, { entry: next, expectedGeneration }) === 'apply') current = next;
        } catch (error) {
          assert.equal((error as { code: string }).code, 'ORK_GENERATION_STALE');
        }
        const [was, is] = [before?.generation ?? 0, current?.generation ?? 0];
        assert.ok(is >= was);
        if (is > was) assert.equal(expectedGeneration, was);
        if (is === was) assert.equal(current?.target.id, before?.target.id);
      }
    }),
  );
});

test('the very same entry is a replay, in whatever order its routes come; other routes are stale', () => {
  const current = entry(3, 1, 80, ['a.test', 'b.test']);
  assert.equal(judgeFlip(current, { entry: entry(3, 1, 80, ['b.test', 'a.test']), expectedGeneration: 2 }), 'replay');
  assert.equal(judgeFlip(current, { entry: entry(3, 1, 81, ['a.test', 'b.test']), expectedGeneration: 2 }), 'apply');
  assert.throws(() => judgeFlip(current, { entry: entry(3, 1, 80, ['c.test']), expectedGeneration: 2 }), {
    code: 'ORK_GENERATION_STALE',
  });
});

test('the first flip expects generation 0', () => {
  assert.equal(judgeFlip(null, { entry: entry(7, 1), expectedGeneration: 0 }), 'apply');
  assert.throws(() => judgeFlip(null, { entry: entry(7, 1), expectedGeneration: 6 }), { code: 'ORK_GENERATION_STALE' });
});

test('a claim before a flip is on the old target, after it on the new, with nothing between', () => {
  const upstream = new Upstream(entry(1, 1), new Date(0));
  const before = upstream.claim();
  const answer = upstream.apply(entry(2, 2), new Date(0));
  const after = upstream.claim();
  assert.equal(before?.target.id, entry(1, 1).target.id);
  assert.equal(after?.target.id, entry(2, 2).target.id);
  assert.deepEqual(answer.previous, { targetId: before?.target.id, inFlight: 1, requests: { served: 0, failed: 0 } });
});

test('new routes on the same target keep it, its counts and its claims', () => {
  const upstream = new Upstream(entry(1, 1), new Date(0));
  upstream.claim()?.release('served');
  assert.equal(upstream.apply(entry(2, 1, 80, ['b.test']), new Date(0)).previous, null);
  assert.deepEqual(
    upstream.view().targets.map(({ state, requests }) => ({ state, requests })),
    [{ state: 'healthy', requests: { served: 1, failed: 0 } }],
  );
});

test('a flip back to an earlier target makes it active anew while its old claims drain', async () => {
  const upstream = new Upstream(entry(1, 1), new Date(0));
  const old = upstream.claim();
  upstream.apply(entry(2, 2), new Date(0));
  upstream.apply(entry(3, 1), new Date(0));
  assert.ok(upstream.claim());
  await assert.rejects(upstream.drain(entry(1, 1).target.id, 1000, clock), { code: 'ORK_CONFLICT' });
  old?.release('served');
  assert.equal((await upstream.drain(entry(2, 2).target.id, 1000, clock)).known, true);
});

test('a thousand flips that nobody drains leave a bounded number of targets', () => {
  const upstream = new Upstream(entry(1, 1), new Date(0));
  for (let generation = 2; generation <= 1000; generation += 1)
    upstream.apply(entry(generation, generation), new Date(0));
  assert.ok(upstream.targets().length <= 5);
  assert.equal(upstream.view().targets.length, 1);
});

test('once retired it gives no claim', () => {
  const upstream = new Upstream(entry(1, 1), new Date(0));
  upstream.retire();
  assert.equal(upstream.claim(), null);
});
