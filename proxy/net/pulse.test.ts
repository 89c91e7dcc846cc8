import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Pulse } from './pulse.ts';

const BEAT_MS = 500;

/** A pulse over one set, in a time that only the test advances. */
function pulseOf(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const clock = { ms: 0, now: () => new Date(clock.ms), monotonic: () => clock.ms };
  const pulse = new Pulse(clock, BEAT_MS);
  const things = new Set<string>();
  const seen: string[] = [];
  pulse.watch(things, (thing) => void seen.push(`${thing} at ${pulse.now}`));
  const pass = (ms: number): void => {
    clock.ms += ms;
    t.mock.timers.tick(ms);
  };
  return { pulse, things, seen, pass };
}

test('what is watched is checked at each beat, and the time is that of the beat', (t) => {
  const { pulse, things, seen, pass } = pulseOf(t);
  pass(70);
  pulse.wake();
  things.add('a');
  assert.equal(pulse.now, 70);
  pass(BEAT_MS - 1);
  assert.deepEqual(seen, []);
  pass(1);
  pass(BEAT_MS);
  assert.deepEqual(seen, ['a at 570', 'a at 1070']);
});

test('it stands still once nothing is left to check, and goes on from the time at which it is woken', (t) => {
  const { pulse, things, seen, pass } = pulseOf(t);
  pulse.wake();
  pass(BEAT_MS);
  pass(10_000);
  assert.equal(pulse.now, BEAT_MS, 'no further beat');
  things.add('b');
  pulse.wake();
  assert.equal(pulse.now, BEAT_MS + 10_000);
  pass(BEAT_MS);
  assert.deepEqual(seen, ['b at 11000']);
});

test('it goes on while anything is left to check in one of several sets', (t) => {
  const { pulse, things, seen, pass } = pulseOf(t);
  const others = new Set(['last']);
  pulse.watch(others, (other) => void seen.push(`${other} at ${pulse.now}`));
  pulse.wake();
  things.add('d');
  pass(BEAT_MS);
  things.clear();
  pass(BEAT_MS);
  pass(BEAT_MS);
  assert.deepEqual(seen, ['d at 500', 'last at 500', 'last at 1000', 'last at 1500']);
});

test('waking it while it beats does not delay the next beat', (t) => {
  const { pulse, things, seen, pass } = pulseOf(t);
  pulse.wake();
  things.add('c');
  pass(BEAT_MS - 100);
  pulse.wake();
  assert.equal(pulse.now, 0);
  pass(100);
  assert.deepEqual(seen, ['c at 500']);
});
