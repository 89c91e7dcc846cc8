import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS } from '../../protocol/error-catalogue.ts';
import { PIPELINE } from './pipeline.ts';

test('a step that runs out of time is told as what that is, and never as an error of ours', () => {
  const ours = PIPELINE.stages.filter(({ timeoutCode }) => ERRORS[timeoutCode].fault === ERRORS.ORK_INTERNAL.fault);
  assert.deepEqual(
    ours.map(({ step }) => step.name),
    [],
  );
});
