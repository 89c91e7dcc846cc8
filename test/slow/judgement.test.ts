/** A part passes only if the attack took place: otherwise a quiet machine would pass all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judged } from './judgement.ts';
import type { Trouble } from './judgement.ts';

const GOOD = {
  quietP99Ms: 1,
  rampP99Ms: 9,
  p99Ms: 1.9,
  failed: 0,
  rssMB: 60,
  peakRssMB: 200,
  claims: 0,
  overflows: 3,
  busyPercent: 50,
  waitedPercent: 1,
  troubles: [{ kind: 'slow', asked: 4000, reached: 3990, left: 0 }] satisfies Trouble[],
};

const isOk = (changes: Partial<Parameters<typeof judged>[0]>): boolean => judged({ ...GOOD, ...changes }).ok;
const passes = (...troubles: Trouble[]): boolean => isOk({ troubles });

test('a visitor who is slowed down, a failed request, memory and claims that stay, each miss a bar', () => {
  assert.equal(isOk({}), true);
  assert.equal(judged(GOOD).ratio, 1.9);
  assert.equal(isOk({ p99Ms: 2.1 }), false);
  assert.equal(isOk({ failed: 1 }), false);
  assert.equal(isOk({ peakRssMB: 261 }), false);
  assert.equal(isOk({ claims: 1 }), false);
});

test('slow clients that did not reach the proxy miss the bar, in any round', () => {
  const slow = { kind: 'slow', asked: 4000, reached: 4000, left: 4000 } as const;
  assert.equal(passes(slow, slow), true);
  // Range requests have been answered by then.
  assert.equal(passes({ ...slow, left: 0 }), true);
  assert.equal(passes(slow, { ...slow, reached: 3500 }), false);
  assert.equal(passes({ ...slow, reached: 0 }), false);
  assert.equal(passes(), false);
});

test('idle connections must all be open, and stay open', () => {
  const idle = { kind: 'idle', asked: 10_000, reached: 10_000, left: 10_000 } as const;
  assert.equal(passes(idle), true);
  assert.equal(passes({ ...idle, reached: 9_999 }), false);
  assert.equal(passes({ ...idle, left: 9_999 }), false);
  assert.equal(passes({ ...idle, left: 0 }), false);
});

test('of a flood some connections are let in, and no more than the limit per address', () => {
  const flood = { kind: 'flood', asked: 6000, reached: 2000, left: 0 } as const;
  assert.equal(passes(flood), true);
  assert.equal(passes({ ...flood, reached: 2001 }), false);
  assert.equal(passes({ ...flood, reached: 6000 }), false);
  assert.equal(passes({ ...flood, reached: 0 }), false);
});
