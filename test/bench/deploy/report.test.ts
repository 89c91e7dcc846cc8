import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report } from './report.ts';

const deployed = (ms: number, build: number) => ({ ms, steps: { build } });

test('the report has the medians of each side and each step, and the ratio of ours to plain', () => {
  const pairs = [
    { ours: deployed(1100, 500), plain: deployed(1000, 400) },
    { ours: deployed(1300, 600), plain: deployed(900, 300) },
    { ours: deployed(1200, 700), plain: deployed(1100, 200) },
  ];
  const measured = { first: deployed(9000, 1), pairs: { cold: pairs, warm: pairs }, rollbacks: [deployed(50, 0)] };
  const { cold, rollback, first } = report({ ...measured, rounds: 3 });
  assert.deepEqual(cold, {
    ours: 1200,
    plain: 1000,
    ratio: 1.2,
    steps: { ours: { build: 600 }, plain: { build: 300 } },
  });
  assert.deepEqual([rollback.ms, first.ms], [50, 9000]);
});
