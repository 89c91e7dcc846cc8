import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { beginBuild, openUnfinishedBuild } from './unfinished-build.ts';

const HOUR = 3_600_000;

/** Start of a build that has run for a minute, by a clock that was meanwhile set forward by `step` ms. */
function begun(step: number): number {
  let [now, monotonic] = [10 * HOUR, 7];
  const began = beginBuild({ now: () => now, monotonic: () => monotonic });
  now += 60_000 + step;
  monotonic += 60_000;
  return began();
}

test('a clock that is set back during a build moves its start back, but one set forward does not', () => {
  assert.equal(begun(0), 10 * HOUR);
  assert.equal(begun(-HOUR), 9 * HOUR);
  assert.equal(begun(HOUR), 10 * HOUR, 'what it made before the step is not to be missed');
});

test('the record of an unfinished build stays until it is cleared, also for another agent', (t) => {
  const folder = temporaryFolder(t);
  assert.equal(openUnfinishedBuild(folder).read(), null);
  openUnfinishedBuild(folder).write({ began: 5, oversized: true });
  assert.deepEqual(openUnfinishedBuild(folder).read(), { began: 5, oversized: true });
  openUnfinishedBuild(folder).clear();
  assert.equal(openUnfinishedBuild(folder).read(), null);
});
