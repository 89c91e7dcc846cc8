import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { DEPLOYMENT_EVENTS, DEPLOYMENT_STATES, isEnded, transition } from './deployment.ts';
import type { DeploymentEvent, DeploymentState } from './deployment.ts';

const walk = (...events: DeploymentEvent[]): DeploymentState => events.reduce(transition, 'queued' as DeploymentState);

test('a successful deployment passes through queued, running, live and superseded', () => {
  assert.equal(walk('start'), 'running');
  assert.equal(walk('start', 'finish'), 'live');
  assert.equal(walk('start', 'finish', 'supersede'), 'superseded');
});

test('a failure before the flip leads to undoing, and the cause decides between failed and cancelled', () => {
  assert.equal(walk('start', 'fail'), 'undoing');
  assert.equal(walk('start', 'fail', 'end-failed'), 'failed');
  assert.equal(walk('start', 'fail', 'end-cancelled'), 'cancelled');
});

test('a failure after the flip undoes nothing', () => {
  assert.equal(walk('start', 'fail-forward'), 'failed');
});

test('the state machine rejects every pair of state and event outside its map as a bug', () => {
  const allowed = new Set([
    'queued start',
    'queued refuse',
    'queued cancel',
    'running fail',
    'running finish',
    'running hand-on',
    'running fail-forward',
    'running supersede',
    'undoing end-failed',
    'undoing end-cancelled',
    'live supersede',
    'failed supersede',
  ]);
  for (const state of DEPLOYMENT_STATES) {
    for (const event of DEPLOYMENT_EVENTS) {
      if (allowed.has(`${state} ${event}`)) assert.doesNotThrow(() => transition(state, event));
      else assert.throws(() => transition(state, event), OrkestrError, `${state} ${event}`);
    }
  }
});

test('an ended deployment never returns to a state with work left', () => {
  for (const state of DEPLOYMENT_STATES.filter(isEnded)) {
    for (const event of DEPLOYMENT_EVENTS) {
      try {
        assert.ok(isEnded(transition(state, event)), `${state} ${event}`);
      } catch (error) {
        assert.ok(error instanceof OrkestrError); // not in the table: checked above
      }
    }
  }
});
