import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Target } from '../upstream/target.ts';
import type { StreamKind } from '../upstream/target.ts';
import { Goodbyes } from './goodbyes.ts';

const clock = { now: () => new Date(0), monotonic: () => 0 };

/** A target with exchanges that never end, and the names of the dismissed ones. */
function world() {
  const target = new Target({ id: '01890a5d-ac96-774b-bcce-000000000001', address: '127.0.0.1', port: 80 }, clock);
  const told: string[] = [];
  const open = (name: string, stream: StreamKind | null) => {
    const exchange = { stream, cut: () => undefined, dismiss: () => void told.push(name) };
    target.claim(exchange);
    return { exchange, end: () => target.release(exchange, 'served', 200) };
  };
  return { target, told, open, goodbyes: new Goodbyes(target, { closeMs: 2_000 }) };
}

test('streams are dismissed in the last half of the time, one after another, with time to close', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { told, open, goodbyes } = world();
  for (const name of ['a', 'b', 'c']) open(name, 'websocket');
  open('plain', null);
  goodbyes.begin(20_000);
  t.mock.timers.tick(9_999);
  assert.deepEqual(told, []);
  t.mock.timers.tick(2);
  assert.deepEqual(told, ['a']);
  t.mock.timers.tick(2_000);
  assert.deepEqual(told, ['a', 'b']);
  t.mock.timers.tick(2_000);
  assert.deepEqual(told, ['a', 'b', 'c']);
  open('late', 'events');
  t.mock.timers.tick(2_000);
  assert.deepEqual(told, ['a', 'b', 'c', 'late'], 'nobody hears it twice');
});

test('streams that outlive a hand-over are dismissed in its last minutes', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { told, open, goodbyes } = world();
  open('a', 'websocket');
  open('ended', 'events').end();
  goodbyes.begin(3_600_000);
  t.mock.timers.tick(3_299_999);
  assert.deepEqual(told, []);
  t.mock.timers.tick(2);
  assert.deepEqual(told, ['a']);
});

test('an earlier deadline replaces a later one, and a drain does not dismiss a stream again', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { target, told, open, goodbyes } = world();
  open('a', 'websocket');
  goodbyes.begin(3_600_000);
  goodbyes.begin(20_000);
  t.mock.timers.tick(10_001);
  assert.deepEqual(told, ['a']);
  void target.drain({ deadlineMs: 0, streamDeadlineMs: 0, spreadMs: 0 });
  t.mock.timers.tick(4_000_000);
  assert.deepEqual(told, ['a']);
});

test('nothing is dismissed after a stop', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { told, open, goodbyes } = world();
  open('a', 'websocket');
  goodbyes.begin(20_000);
  goodbyes.stop();
  t.mock.timers.tick(30_000);
  assert.deepEqual(told, []);
});
