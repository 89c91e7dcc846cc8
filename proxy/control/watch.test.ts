import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WatchRequest } from '../../protocol/proxy-admin.ts';
import type { Tally } from '../upstream/tally.ts';
import { addTally } from '../upstream/tally.ts';
import { Watch } from './watch.ts';
import type { Record } from './watch.ts';

const uuid = '01890a5d-ac96-774b-bcce-000000000001';
const rule = WatchRequest.parse({ upstreamId: uuid, targetId: uuid, seconds: 1 });
const GOOD: Tally = { answers: 1, faults: 0, came: true, refusals: 0 };
const ERROR: Tally = { answers: 1, faults: 1, came: true, refusals: 0 };
const REFUSED: Tally = { answers: 0, faults: 0, came: false, refusals: 1 };
/** The request whose connection was refused ends without a response. */
const OWED: Tally = { answers: 1, faults: 1, came: false, refusals: 0 };

/** The verdict, and the number of tallies that it took. */
function judge(tallies: readonly Tally[], before: Record | null = null): [string, number] | null {
  const watch = new Watch(rule, before);
  for (const [index, tally] of tallies.entries()) {
    const answer = watch.add(tally);
    if (answer) return [answer.verdict, index + 1];
  }
  return null;
}

const many = (count: number, tally: Tally): Tally[] => Array.from({ length: count }, () => tally);

test('three refusals in a row are reported at the third, and any answer in between resets the count', () => {
  assert.deepEqual(judge([REFUSED, OWED, REFUSED, OWED, REFUSED]), ['refuses', 5]);
  assert.equal(judge([REFUSED, OWED, REFUSED, OWED, GOOD, REFUSED, OWED, REFUSED]), null);
  assert.equal(judge([REFUSED, REFUSED, ERROR, REFUSED, REFUSED]), null);
});

test('the error rate is judged only after enough answers, and then reported at once', () => {
  assert.equal(judge(many(19, ERROR)), null);
  assert.deepEqual(judge(many(25, ERROR)), ['errors', 20]);
  assert.deepEqual(judge([...many(80, GOOD), ...many(40, ERROR)]), ['errors', 101], 'above a fifth: 21 of 101');
});

test('an app with as many errors as before passes; one with three times as many does not', () => {
  const bad = [...many(15, GOOD), ...many(15, ERROR)];
  assert.equal(judge(bad, { answers: 1000, faults: 200 }), null);
  assert.deepEqual(judge(bad, { answers: 1000, faults: 100 })?.[0], 'errors');
  assert.equal(judge(many(30, ERROR), { answers: 10, faults: 10 }), null);
});

test('tallies added into one have the same verdict', () => {
  const sequence = [REFUSED, OWED, GOOD, REFUSED, OWED, REFUSED];
  const one = sequence.reduce(addTally);
  assert.deepEqual(one, { answers: 3, faults: 2, came: true, refusals: 2 });
  assert.deepEqual(judge([one, REFUSED]), ['refuses', 2]);
});
