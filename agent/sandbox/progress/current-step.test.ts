import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vertex } from './build-status.ts';
import { makeCurrentStep } from './current-step.ts';

const vertex = (name: string, change: Partial<Vertex> = {}): Vertex => ({
  digest: name,
  name,
  started: true,
  cached: false,
  seconds: null,
  error: '',
  ...change,
});

test('the current step is the last one that started and has not ended, apart from work of the engine itself', () => {
  const step = makeCurrentStep();
  assert.equal(step.command(), null);
  step.take({
    vertexes: [vertex('[internal] load build context'), vertex('[1/2] FROM debian'), vertex('[2/2] RUN make')],
  });
  assert.equal(step.command(), 'RUN make');
  step.take({ vertexes: [vertex('[2/2] RUN make', { seconds: 1 }), vertex('exporting to image')] });
  assert.equal(step.command(), 'FROM debian');
  step.take({ vertexes: [vertex('[1/2] FROM debian', { seconds: 2 })] });
  assert.equal(step.command(), null);
});

test('the current step is the one that failed, not those cancelled because of it', () => {
  const step = makeCurrentStep();
  step.take({ vertexes: [vertex('[a 1/1] RUN sleep 9'), vertex('[b 1/1] RUN tail /dev/zero')] });
  step.take({ vertexes: [vertex('[b 1/1] RUN tail /dev/zero', { seconds: 1, error: 'exit code: 1' })] });
  step.take({ vertexes: [vertex('[a 1/1] RUN sleep 9', { seconds: 1, error: 'context canceled' })] });
  assert.equal(step.command(), 'RUN tail /dev/zero');
});
