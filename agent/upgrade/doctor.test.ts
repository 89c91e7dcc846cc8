import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { upgrade as check } from '../doctor/checks/upgrade.ts';
import type { Upgrade } from './record.ts';

const NOW = Date.parse('2030-01-02T00:00:00Z');

const recordOf = (change: Partial<Upgrade>, minutesAgo: number): Upgrade => ({
  upgradeId: randomUUIDv7(),
  from: '1.0.0',
  version: '1.1.0',
  source: { kind: 'none' },
  state: 'healthy',
  doing: 'waiting for the agent',
  goingBack: false,
  switches: 1,
  orderedAt: new Date(NOW - 3_600_000).toISOString(),
  changedAt: new Date(NOW - minutesAgo * 60_000).toISOString(),
  error: null,
  ...change,
});

const errorOf = (code: 'ORK_UPGRADE_UNHEALTHY' | 'ORK_UPGRADE_STUCK') => ({ code, message: 'Why.', evidence: ['log'] });

const WELL = { previous: '1.0.0', away: false, now: NOW };

const found = (last: Upgrade | null, linked = false, since: Partial<typeof WELL> = {}): readonly string[] => {
  const verdict = check.judge({ ...WELL, ...since, last, linked });
  return 'skipped' in verdict ? ['skipped'] : verdict.findings.map(({ problem }) => problem);
};

test('the doctor reports a reverted upgrade with its reason for a day', () => {
  const reverted = { state: 'reverted', error: errorOf('ORK_UPGRADE_UNHEALTHY') } as const;
  assert.deepEqual(found(recordOf(reverted, 60)), ['taken-back']);
  assert.deepEqual(found(recordOf(reverted, 25 * 60)), []);
  const verdict = check.judge({ ...WELL, last: recordOf(reverted, 60), linked: false });
  assert.ok('findings' in verdict);
  assert.deepEqual(verdict.findings[0]?.evidence, ['ORK_UPGRADE_UNHEALTHY: Why.', 'log']);
});

test('the doctor reports an upgrade that nothing continues, but not one in progress', () => {
  assert.deepEqual(found(recordOf({ state: 'switching' }, 1), true), []);
  assert.deepEqual(found(recordOf({ state: 'switching' }, 30), true), ['halfway']);
  assert.deepEqual(found(recordOf({ state: 'fetching' }, 1), false), ['halfway']);
});

test('the doctor fails if neither version came up, and is silent after a successful upgrade or without any', () => {
  assert.deepEqual(found(recordOf({ state: 'failed', error: errorOf('ORK_UPGRADE_STUCK') }, 5)), ['stuck']);
  assert.deepEqual(found(recordOf({}, 5)), []);
  assert.deepEqual(found(null), ['skipped']);
});

test('the doctor reports an agent that fails within a day after an upgrade, as long as there is a way back', () => {
  assert.deepEqual(found(recordOf({}, 10), false, { away: true }), ['not-well-since']);
  assert.deepEqual(found(recordOf({}, 25 * 60), false, { away: true }), [], 'it has come from something else');
  assert.deepEqual(found(recordOf({}, 10), false, { away: true, previous: '0.9.0' }), []);
  assert.deepEqual(found(recordOf({ state: 'failed' }, 10), false, { away: true }), ['taken-back']);
});
