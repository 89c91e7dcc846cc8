import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../protocol/error-catalogue.ts';
import { PIPELINE } from './pipeline.ts';

test('no step reports its timeout as an internal error', () => {
  const ours = PIPELINE.stages.filter(({ timeoutCode }) => ERRORS[timeoutCode].fault === ERRORS.ORK_INTERNAL.fault);
  assert.deepEqual(
    ours.map(({ step }) => step.name),
    [],
  );
});
