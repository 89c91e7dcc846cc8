import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { DEPLOYMENT_STATES, isEnded, transition } from './deployment.ts';
import type { DeploymentEvent, DeploymentState } from './deployment.ts';

const EVENTS: readonly DeploymentEvent[] = [
  { kind: 'start' },
  { kind: 'fail' },
  { kind: 'undone', cancelled: false },
  { kind: 'undone', cancelled: true },
  { kind: 'finish' },
  { kind: 'lose' },
  { kind: 'supersede' },
  { kind: 'refuse' },
  { kind: 'cancel' },
];

const walk = (...events: DeploymentEvent[]): DeploymentState => events.reduce(transition, 'queued' as DeploymentState);

test('the happy road: queued, running, live, superseded', () => {
  assert.equal(walk({ kind: 'start' }), 'running');
  assert.equal(walk({ kind: 'start' }, { kind: 'finish' }), 'live');
  assert.equal(walk({ kind: 'start' }, { kind: 'finish' }, { kind: 'supersede' }), 'superseded');
});

test('a failure before the flip goes through undoing, and the cause decides between failed and cancelled', () => {
  assert.equal(walk({ kind: 'start' }, { kind: 'fail' }), 'undoing');
  assert.equal(walk({ kind: 'start' }, { kind: 'fail' }, { kind: 'undone', cancelled: false }), 'failed');
  assert.equal(walk({ kind: 'start' }, { kind: 'fail' }, { kind: 'undone', cancelled: true }), 'cancelled');
});

test('every pair of state and event that is not on the map is refused as a bug', () => {
  const allowed = new Set([
    'queued start',
    'queued refuse',
    'queued cancel',
    'running fail',
    'running finish',
    'running lose',
    'running supersede',
    'undoing undone',
    'live supersede',
    'failed supersede',
  ]);
  for (const state of DEPLOYMENT_STATES) {
    for (const event of EVENTS) {
      if (allowed.has(`${state} ${event.kind}`)) assert.doesNotThrow(() => transition(state, event));
      else assert.throws(() => transition(state, event), OrkestrError, `${state} ${event.kind}`);
    }
  }
});

test('an ended deployment never becomes one that has work left', () => {
  for (const state of DEPLOYMENT_STATES.filter(isEnded)) {
    for (const event of EVENTS) {
      try {
        assert.ok(isEnded(transition(state, event)), `${state} ${event.kind}`);
      } catch (error) {
        assert.ok(error instanceof OrkestrError); // not on the map: checked above
      }
    }
  }
});
