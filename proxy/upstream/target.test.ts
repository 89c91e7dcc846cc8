import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import * as fc from 'fast-check';
import { Target } from './target.ts';
import type { Claim, Drained, Outcome } from './target.ts';

const entry = { id: '01890a5d-ac96-774b-bcce-000000000001', address: '127.0.0.1', port: 80 };
const clock = { now: () => new Date(0), monotonic: () => 0 };

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

test('in any order of claims, releases and drains: no claim once retired, gone exactly when empty, counts add up', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const target = new Target(entry);
      const claims: { claim: Claim; open: boolean }[] = [];
      const drains: Promise<Drained>[] = [];
      const expected = { served: 0, failed: 0 };
      let retired = false;
      const release = (one: { claim: Claim; open: boolean }, outcome: Outcome): void => {
        if (one.open && outcome !== 'abandoned') expected[outcome] += 1;
        one.open = false;
        one.claim.release(outcome);
      };
      for (const step of acts) {
        if (step.kind === 'claim') {
          const claim = target.claim();
          assert.equal(claim === null, retired);
          if (claim) claims.push({ claim, open: true });
        }
        const one = step.kind === 'release' ? claims[step.which % Math.max(1, claims.length)] : undefined;
        if (step.kind === 'release' && one) release(one, step.outcome);
        if (step.kind === 'retire') target.retire();
        if (step.kind === 'drain') drains.push(target.drain(1_000_000, clock));
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

test('the deadline of a drain cuts what is left once, also when a cut releases its own claim', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const target = new Target(entry);
  const cut: string[] = [];
  const [first, second] = [target.claim(), target.claim()];
  first?.onCut(() => {
    cut.push('first');
    first.release('served');
  });
  second?.onCut(() => cut.push('second'));
  const [early, late] = [target.drain(1000, clock), target.drain(5000, clock)];
  mock.timers.tick(999);
  assert.equal(target.inFlight, 2);
  mock.timers.tick(1);
  assert.deepEqual(
    [await early, await late],
    [
      { ms: 0, forced: 2 },
      { ms: 0, forced: 2 },
    ],
  );
  mock.timers.tick(10_000);
  assert.deepEqual(cut, ['first', 'second']);
  assert.deepEqual(target.requests, { served: 1, failed: 1 });
  assert.equal(target.state, 'gone');
});

test('retiring is told at once, and only once', () => {
  const target = new Target(entry);
  let told = 0;
  target.onRetired(() => {
    told += 1;
  });
  target.retire();
  target.retire();
  assert.equal(told, 1);
});
