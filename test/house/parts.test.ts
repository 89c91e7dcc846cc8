import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEST_PARTS } from '../runner/lanes.ts';
import { testFiles } from '../runner/test-files.ts';

test('npm test runs every test file once', () => {
  const run = Object.values(TEST_PARTS).flatMap((pattern) => testFiles([pattern]));
  assert.deepEqual(run.toSorted(), testFiles(['**/*.test.{ts,tsx}']));
});
