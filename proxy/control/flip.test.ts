import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import { judgeFlip, judgeFlipBack, withEdge } from './flip.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;

function entry(generation: number, target: number, port = 80, hosts: readonly string[] = ['a.test']): UpstreamEntry {
  const routes = hosts.map((host) => ({ host, pathPrefix: '/' }));
  const targets = [{ id: uuid(target), address: '127.0.0.1', port }];
  return { id: uuid(0), generation, targets, routes, edge: EdgeSettings.parse({}) };
}

test('for any sequence of flips the generation only grows, and a refused flip changes nothing', () => {
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
          if (judgeFlip(current, { entry: next, expectedGeneration }) !== 'replay') current = next;
        } catch (error) {
          assert.equal((error as { code: string }).code, 'ORK_GENERATION_STALE');
        }
        const [was, is] = [before?.generation ?? 0, current?.generation ?? 0];
        assert.ok(is >= was);
        if (is > was) assert.equal(expectedGeneration, was);
        if (is === was) assert.equal(current?.targets[0]?.id, before?.targets[0]?.id);
      }
    }),
  );
});

test('the same entry in any order of routes and copies is a replay; new routes or settings amend it without a flip', () => {
  const current = entry(3, 1, 80, ['a.test', 'b.test']);
  const copies = [80, 81].map((port) => ({ id: uuid(1), address: '127.0.0.1', port }));
  assert.equal(judgeFlip(current, { entry: entry(3, 1, 80, ['b.test', 'a.test']), expectedGeneration: 2 }), 'replay');
  assert.equal(judgeFlip(current, { entry: entry(3, 1, 81, ['a.test', 'b.test']), expectedGeneration: 2 }), 'apply');
  const doubled = { ...current, targets: copies };
  assert.equal(judgeFlip(current, { entry: doubled, expectedGeneration: 2 }), 'apply');
  const turned = { ...doubled, targets: copies.toReversed() };
  assert.equal(judgeFlip(doubled, { entry: turned, expectedGeneration: 2 }), 'replay');
  const newer: UpstreamEntry[] = [
    entry(3, 1, 80, ['c.test']),
    { ...current, edge: EdgeSettings.parse({ maintenance: true }) },
  ];
  for (const other of newer) assert.equal(judgeFlip(current, { entry: other, expectedGeneration: 2 }), 'amend');
  const other = entry(3, 2, 80, ['a.test', 'b.test']);
  assert.throws(() => judgeFlip(current, { entry: other, expectedGeneration: 2 }), { code: 'ORK_GENERATION_STALE' });
});

test('the first flip expects generation 0', () => {
  assert.equal(judgeFlip(null, { entry: entry(7, 1), expectedGeneration: 0 }), 'apply');
  assert.throws(() => judgeFlip(null, { entry: entry(7, 1), expectedGeneration: 6 }), { code: 'ORK_GENERATION_STALE' });
});

test('a flip back does not restore the canary of the previous entry', () => {
  const canary = { targets: [{ id: uuid(2), address: '127.0.0.1', port: 81 }], weightPercent: 50 };
  const before = { ...entry(2, 1), canary };
  assert.deepEqual(judgeFlipBack({ entry: entry(3, 2), before }, { targetId: uuid(1) }), entry(3, 1));
});

test('a flip back restores the entry that the last flip replaced, with the current generation, and no other', () => {
  const [before, now] = [entry(2, 1, 80, ['old.test']), entry(3, 2)];
  assert.deepEqual(judgeFlipBack({ entry: now, before }, { targetId: uuid(1) }), { ...before, generation: 3 });
  assert.equal(judgeFlipBack({ entry: now, before }, { targetId: uuid(2) }), 'replay');
  for (const kept of [
    { entry: now, before: null },
    { entry: now, before: entry(1, 9) },
  ]) {
    assert.throws(() => judgeFlipBack(kept, { targetId: uuid(1) }), { code: 'ORK_CONFLICT' });
  }
});

test('new edge settings keep the app protocol, and settings that are already in effect change nothing', () => {
  const speaksH2c = { ...entry(3, 1), edge: EdgeSettings.parse({ appProtocol: 'h2c' }) };
  const wanted = { routes: [{ host: 'b.test', pathPrefix: '/' }], edge: EdgeSettings.parse({ maintenance: true }) };
  const set = withEdge(speaksH2c, wanted);
  assert.deepEqual(set, {
    ...speaksH2c,
    routes: wanted.routes,
    edge: EdgeSettings.parse({ appProtocol: 'h2c', maintenance: true }),
  });
  assert.equal(withEdge(set, wanted), set);
});
