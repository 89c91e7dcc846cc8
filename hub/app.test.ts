import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from './api/test-api.ts';
import { DEADLINE_MS } from './git/backend.ts';

test('a push over a slow line has as long as git may take with it', async (t) => {
  const { server } = await startTestApi(t);
  assert.ok(server.requestTimeout > DEADLINE_MS);
});
