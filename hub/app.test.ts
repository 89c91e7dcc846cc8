import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from './api/test-api.ts';
import { DEADLINE_MS } from './git/backend.ts';

test('the request timeout is longer than the deadline of a push, so a slow line can complete one', async (t) => {
  const { server } = await startTestApi(t);
  assert.ok(server.requestTimeout > DEADLINE_MS);
});
