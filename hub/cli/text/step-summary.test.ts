import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../../protocol/steps.ts';
import { stepSummary } from './step-summary.ts';

const summaryOf = (changes: Partial<Image>): string =>
  stepSummary({
    name: 'build',
    status: 'done',
    startedAt: '2026-01-02T03:04:05.000Z',
    ms: 1,
    note: null,
    error: null,
    output: { bytes: 88_000_000, peakMemoryBytes: 212_000_000, ...changes },
  });

test('a build is summarised by its size, its cache and its memory', () => {
  const summary = { ms: 1, steps: 9, cached: 5, slowest: [], layers: null, sentBytes: 1 };
  assert.equal(summaryOf({ summary }), '83.9 MiB · 5 of 9 steps from the cache · peak memory 202.2 MiB');
  assert.equal(summaryOf({ peakMemoryBytes: null }), '83.9 MiB');
});

test('the rebuild of a release says whether it is identical', () => {
  const of = '0190a000-0000-7000-8000-000000000001';
  const rebuild = (differences: string[]) =>
    summaryOf({ rebuild: { of, identical: differences.length === 0, differences } });
  assert.match(rebuild([]), /^83\.9 MiB · identical to its release ·/);
  assert.match(rebuild(['layer 2 of 3: RUN npm ci']), /· not identical: layer 2 of 3: RUN npm ci ·/);
});

test('of a worker neither a port nor probes are told', () => {
  const step = { status: 'done', startedAt: '2026-01-02T03:04:05.000Z', ms: 1, note: null, error: null } as const;
  const target = { address: '172.30.0.2', port: 8080, portFrom: 'none: a worker' };
  assert.equal(stepSummary({ ...step, name: 'deploy', output: { ...target, worker: true } }), '172.30.0.2');
  assert.equal(stepSummary({ ...step, name: 'deploy', output: target }), '172.30.0.2:8080 (none: a worker)');
  const report = { probe: 'running', attempts: 1, last: 'ran for 10 s', foundPort: null };
  assert.equal(stepSummary({ ...step, name: 'health', output: report }), 'ran for 10 s');
});
