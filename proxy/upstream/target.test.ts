import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Target } from './target.ts';
import type { Drained, DrainPlan, InFlight, Outcome, StreamKind } from './target.ts';

const entry = { id: '01890a5d-ac96-774b-bcce-000000000001', address: '127.0.0.1', port: 80 };
const clock = { now: () => new Date(0), monotonic: () => 0 };
const plan = (deadlineMs: number, streamDeadlineMs = 0, spreadMs = 0): DrainPlan => ({
  deadlineMs,
  streamDeadlineMs,
  spreadMs,
});

/** An exchange that records how it was ended, and then calls `release`. */
function exchange(stream: StreamKind | null = null, ended: string[] = [], name = '', release?: () => void): InFlight {
  return {
    stream,
    cut: () => {
      ended.push(`cut ${name}`);
      release?.();
    },
    dismiss: () => {
      ended.push(`dismiss ${name}`);
      release?.();
    },
  };
}

type Act =
  | { kind: 'claim' }
  | { kind: 'release'; which: number; outcome: Outcome }
  | { kind: 'retire' }
  | { kind: 'drain' };

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: 'claim' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      which: fc.nat(20),
      outcome: fc.constantFrom<Outcome>('served', 'failed', 'abandoned'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'retire' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'drain' as const }) },
);

test('in any order of acts a retired target takes no claim, is gone exactly when empty, and its counts add up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const target = new Target(entry, clock);
      const claims: { exchange: InFlight; open: boolean }[] = [];
      const drains: Promise<Drained>[] = [];
      const expected = { served: 0, failed: 0 };
      let retired = false;
      const release = (one: { exchange: InFlight; open: boolean }, outcome: Outcome): void => {
        if (one.open && outcome !== 'abandoned') expected[outcome] += 1;
        one.open = false;
        target.release(one.exchange, outcome, 200);
      };
      for (const step of acts) {
        if (step.kind === 'claim') {
          const one = exchange();
          assert.equal(target.claim(one), !retired);
          if (!retired) claims.push({ exchange: one, open: true });
        }
        const one = step.kind === 'release' ? claims[step.which % Math.max(1, claims.length)] : undefined;
        if (step.kind === 'release' && one) release(one, step.outcome);
        if (step.kind === 'retire') target.retire();
        if (step.kind === 'drain') drains.push(target.drain(plan(1_000_000)));
        retired ||= step.kind === 'retire' || step.kind === 'drain';
        const open = claims.filter((other) => other.open).length;
        assert.equal(target.inFlight, open);
        assert.equal(target.state, retired ? (open > 0 ? 'draining' : 'gone') : 'healthy');
        assert.deepEqual(target.requests, expected);
      }
      for (const one of claims) release(one, 'served');
      for (const drained of await Promise.all(drains)) assert.equal(drained.forced, 0);
    }),
  );
});

test('the deadline of a drain cuts each remaining exchange once, even when a cut releases its own claim', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const target = new Target(entry, clock);
  const ended: string[] = [];
  const first = exchange(null, ended, 'first', () => target.release(first, 'served', 200));
  target.claim(first);
  target.claim(exchange(null, ended, 'second'));
  const [early, late] = [target.drain(plan(1000)), target.drain(plan(5000))];
  t.mock.timers.tick(999);
  assert.equal(target.inFlight, 2);
  t.mock.timers.tick(1);
  const none = { carried: 0, ended: 0, closed: 0 };
  assert.deepEqual(
    [await early, await late],
    [
      { ms: 0, forced: 2, streams: none },
      { ms: 0, forced: 2, streams: none },
    ],
  );
  t.mock.timers.tick(10_000);
  assert.deepEqual(ended, ['cut first', 'cut second']);
  assert.deepEqual(target.requests, { served: 1, failed: 1 });
  assert.equal(target.state, 'gone');
});

test('streams outlive the plain deadline, are then dismissed over a window, and cut if they do not close', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const target = new Target(entry, clock);
  const ended: string[] = [];
  const streams = ['a', 'b', 'c', 'd'].map((name) => {
    const stubborn = name === 'd';
    const stream: InFlight = exchange('websocket', ended, name, () => {
      if (!stubborn) target.release(stream, 'served', 101);
    });
    return stream;
  });
  for (const stream of streams) target.claim(stream);
  target.claim(exchange(null, ended, 'plain'));
  const drained = target.drain(plan(100, 1000, 400));
  const [leaving] = streams;
  assert.ok(leaving);
  t.mock.timers.tick(100);
  assert.deepEqual(ended.splice(0), ['cut plain']);
  target.release(leaving, 'served', 101);
  t.mock.timers.tick(900);
  for (const name of ['b', 'c', 'd']) {
    t.mock.timers.tick(1);
    assert.deepEqual(ended.splice(0), [`dismiss ${name}`]);
    t.mock.timers.tick(132);
    assert.deepEqual(ended, []);
  }
  t.mock.timers.tick(10_000);
  assert.deepEqual(ended, ['cut d']);
  assert.deepEqual(await drained, { ms: 0, forced: 1, streams: { carried: 4, ended: 1, closed: 3 } });
});

test('an exchange that becomes a stream after its target retired counts as a carried stream', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const target = new Target(entry, clock);
  const [ends, closes]: { stream: StreamKind | null; cut: () => void; dismiss: () => void }[] = [0, 1].map(() => ({
    stream: null,
    cut: () => assert.fail('it is closed with its own word'),
    dismiss: () => closes && target.release(closes, 'served', 200),
  }));
  assert.ok(ends && closes);
  for (const one of [ends, closes]) target.claim(one);
  const drained = target.drain(plan(1000, 2000));
  for (const one of [ends, closes]) one.stream = 'events';
  assert.equal(target.counts('retired', 0).streamsCarried, 2);
  target.release(ends, 'served', 200);
  t.mock.timers.tick(2000);
  t.mock.timers.tick(0);
  assert.deepEqual((await drained).streams, { carried: 2, ended: 1, closed: 1 });
});

test('retirement is reported at once, and only once', () => {
  const target = new Target(entry, clock);
  let told = 0;
  target.onRetired(() => {
    told += 1;
  });
  target.retire();
  target.retire();
  assert.equal(told, 1);
});
