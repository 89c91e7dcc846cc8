import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeLogger } from '../protocol/service/logger.ts';
import { makeUptime } from './uptime.ts';

const START = Date.UTC(2030, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function bench() {
  let now = START;
  const uptime = makeUptime({ clock: { now: () => new Date(now) }, log: makeLogger('hub', 'silent') });
  return {
    uptime,
    /** Lets time pass while the hub looks at its clock. */
    pass: (ms: number): void => {
      for (let left = ms; left > 0; left -= 5_000) {
        now += Math.min(left, 5_000);
        uptime.look();
      }
    },
    setClock: (ms: number) => void (now += ms),
    now: () => now,
  };
}

test('elapsed time counts from the noted moment, and at the earliest from the start of the hub', () => {
  const { uptime, pass, now } = bench();
  pass(HOUR);
  const noted = now();
  pass(MINUTE);
  assert.equal(uptime.elapsed(noted), MINUTE);
  assert.equal(uptime.elapsed(START - HOUR), HOUR + MINUTE);
  assert.equal(uptime.from(0), START);
});

test('after a clock change or a suspension the elapsed time restarts from zero', () => {
  for (const ms of [8 * HOUR, -8 * HOUR, MINUTE, -MINUTE]) {
    const { uptime, pass, setClock, now } = bench();
    pass(HOUR);
    const noted = now();
    pass(MINUTE);
    setClock(ms);
    assert.equal(uptime.elapsed(noted), 0, `${ms}`);
    assert.equal(uptime.from(0), now());
    pass(2 * MINUTE);
    assert.equal(uptime.elapsed(noted), 2 * MINUTE, `${ms}`);
  }
});

test('a moment noted by a clock that was ahead counts from the start or the last correction', () => {
  const { uptime, pass, now } = bench();
  pass(MINUTE);
  assert.equal(uptime.elapsed(now() + 8 * HOUR), MINUTE);
});

test('small clock adjustments and a busy hub do not restart the elapsed time', () => {
  const { uptime, pass, setClock, now } = bench();
  pass(HOUR);
  const noted = now();
  setClock(-2_000);
  assert.equal(uptime.elapsed(noted), 0, 'what was noted just now is not from before the start');
  pass(MINUTE);
  setClock(20_000);
  assert.equal(uptime.elapsed(noted), MINUTE + 18_000);
  assert.equal(uptime.from(0), START);
});
