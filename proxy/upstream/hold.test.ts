import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { EdgeSettings } from '../../protocol/edge.ts';
import type { UpstreamEntry } from '../../protocol/proxy-admin.ts';
import type { HoldBounds, Waiter } from './hold.ts';
import type { InFlight } from './target.ts';
import { Upstream } from './upstream.ts';
import { medianWait } from './waits.ts';

const uuid = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`;
const BOUNDS: HoldBounds = { maxRequests: 100, maxBytes: 1000, maxMs: 5000 };

function entry(generation: number, edge: object = {}): UpstreamEntry {
  const targets = [{ id: uuid(generation), address: '127.0.0.1', port: 80 }];
  return { id: uuid(0), generation, targets, routes: [], edge: EdgeSettings.parse(edge) };
}

/** An upstream under a clock that the test advances, and requests that record their result. */
function setUp(t: TestContext, edge: object = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const upstream = new Upstream(entry(1, edge), { now: () => new Date(0), monotonic: () => now });
  const told: string[] = [];
  const request = (name: string, bytes = 10): Waiter & InFlight => {
    const one: Waiter & InFlight = {
      stream: null,
      bytes,
      cut: () => undefined,
      dismiss: () => undefined,
      go: () => told.push(`${name} on ${upstream.claim(one)?.id.at(-1) ?? upstream.refusal}`),
      refuse: () => told.push(`${name} refused`),
    };
    return one;
  };
  const pass = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  return { upstream, told, request, pass };
}

test('held requests continue in order at a flip, all to the new target, and later ones follow them', async (t) => {
  const { upstream, told, request, pass } = setUp(t);
  upstream.hold(BOUNDS);
  const names = Array.from({ length: 70 }, (_, index) => `r${index}`);
  for (const name of names) {
    assert.equal(upstream.claim(request(name)), null);
    assert.equal(upstream.refusal, 'held');
    assert.equal(upstream.enter(request(name)), true);
  }
  pass(100);
  assert.equal(upstream.counts().held, 70);
  upstream.apply(entry(2));
  assert.deepEqual(told, [], 'the flip is answered first');
  const late = request('late');
  assert.equal(upstream.claim(late), null, 'those who came before go first');
  assert.equal(upstream.enter(late), true);
  for (let turns = 0; turns < 10; turns += 1) await turn();
  assert.deepEqual(
    told,
    [...names, 'late'].map((name) => `${name} on 2`),
  );
  assert.equal(upstream.claim(request('free'))?.id, uuid(2));
  const { waits, held } = upstream.counts();
  assert.equal(held, null);
  assert.deepEqual(
    { requests: waits?.requests, refused: waits?.refused, maxMs: waits?.maxMs },
    { requests: 71, refused: 0, maxMs: 100 },
  );
  assert.ok(waits && Math.abs(medianWait(waits) - 100) < 5);
});

test('number and bytes of held requests are limited, and a request that leaves frees its share', (t) => {
  const { upstream, request } = setUp(t);
  upstream.hold({ ...BOUNDS, maxRequests: 2, maxBytes: 100 });
  const [first, second] = [request('first', 60), request('second', 30)];
  assert.deepEqual(
    [first, request('big', 41), second, request('third', 1)].map((one) => upstream.enter(one)),
    [true, false, true, false],
  );
  upstream.leave(first);
  upstream.leave(first);
  assert.equal(upstream.enter(request('next', 70)), true);
  assert.equal(upstream.counts().held, 2);
  upstream.apply(entry(2));
  assert.equal(upstream.counts().waits?.refused, 2);
});

test('a request that is held longer than allowed is refused, each at its own time', async (t) => {
  const { upstream, told, request, pass } = setUp(t);
  upstream.hold(BOUNDS);
  upstream.enter(request('early'));
  pass(3000);
  upstream.enter(request('late'));
  pass(1999);
  assert.deepEqual(told, []);
  pass(1);
  assert.deepEqual(told, ['early refused']);
  upstream.hold({ ...BOUNDS, maxMs: 2500 });
  pass(500);
  assert.deepEqual(told, ['early refused', 'late refused']);
  assert.deepEqual(upstream.resume(), { held: 0, changed: true });
  assert.deepEqual(upstream.resume(), { held: 0, changed: false });
  await turn();
  assert.equal(upstream.claim(request('free'))?.id, uuid(1));
});

test('a hold that is renewed while earlier requests are released keeps the remaining ones', async (t) => {
  const { upstream, told, request } = setUp(t);
  upstream.hold(BOUNDS);
  for (let index = 0; index < 40; index += 1) upstream.enter(request(`r${index}`));
  assert.deepEqual(upstream.resume(), { held: 40, changed: true });
  await turn();
  assert.equal(told.length, 32);
  assert.deepEqual(upstream.hold(BOUNDS), { held: 8, changed: false });
  for (let turns = 0; turns < 3; turns += 1) await turn();
  assert.equal(told.length, 32);
  upstream.resume();
  for (let turns = 0; turns < 3; turns += 1) await turn();
  assert.equal(told.length, 40);
});

test('held requests beyond the concurrency limit continue as slots free up, and later ones do not overtake them', async (t) => {
  const { upstream, told, request, pass } = setUp(t, { maxConcurrent: 2 });
  upstream.hold(BOUNDS);
  const waiting = ['a', 'b', 'c', 'd'].map((name) => request(name));
  for (const one of waiting) assert.equal(upstream.enter(one), true);
  const target = upstream.targets()[0];
  upstream.resume();
  await turn();
  assert.deepEqual(told, ['a on 1', 'b on 1']);
  assert.equal(upstream.claim(request('late')), null);
  assert.equal(upstream.refusal, 'busy', 'who has not waited is refused, as without a hold');
  target?.release(waiting[0] as InFlight, 'served', 200);
  assert.equal(upstream.claim(request('late')), null);
  assert.equal(upstream.refusal, 'busy', 'the room is for those who waited');
  pass(10);
  assert.deepEqual(told.slice(2), ['c on 1']);
  pass(BOUNDS.maxMs);
  assert.deepEqual(told.slice(3), ['d refused'], 'who finds no room in time');
  pass(10);
  target?.release(waiting[1] as InFlight, 'served', 200);
  assert.equal(upstream.claim(request('free'))?.id, uuid(1), 'the hold is over');
});

test('a held request that fails on release does not block the others', async (t) => {
  const { upstream, told, request } = setUp(t);
  upstream.hold(BOUNDS);
  const failing = request('failing');
  upstream.enter({
    ...failing,
    go: () => {
      throw new Error('it fails');
    },
  });
  upstream.enter(request('next'));
  const thrown = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  upstream.resume();
  assert.match(String(await thrown), /it fails/);
  await turn();
  assert.deepEqual(told, ['next on 1']);
  assert.equal(upstream.claim(request('free'))?.id, uuid(1), 'the hold is over');
});

test('an upstream that is removed from the table refuses its held requests', (t) => {
  const { upstream, told, request } = setUp(t);
  upstream.hold(BOUNDS);
  upstream.enter(request('one'));
  upstream.retire();
  assert.deepEqual(told, ['one refused']);
  assert.equal(upstream.claim(request('two')), null);
  assert.equal(upstream.refusal, 'none');
});

test('the concurrency limit of the edge settings applies over all targets', (t) => {
  const { upstream, request } = setUp(t, { maxConcurrent: 2 });
  const [first, second, third] = [request('first'), request('second'), request('third')];
  const target = upstream.claim(first);
  assert.ok(upstream.claim(second));
  assert.equal(upstream.claim(third), null);
  assert.equal(upstream.refusal, 'busy');
  target?.release(first, 'served', 200);
  assert.ok(upstream.claim(third));
});
