import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentMessage, HubMessage } from './agent-link.ts';
import { inVersion } from './versions.ts';

const ID = '018f0000-0000-7000-8000-000000000001';

test('messages of protocol 3 are not sent to a peer of version 2, which would close the connection', () => {
  const later: readonly (HubMessage | AgentMessage)[] = [
    { type: 'edge', envelope: { payload: '{}', signature: 'x' } },
    { type: 'edge-state', environmentId: ID, revision: 1 },
    { type: 'app-log', readId: ID, environmentId: ID, tail: 1, sinceSeconds: null, follow: false, after: [] },
    { type: 'app-log-credit', readId: ID, chunks: 1 },
    { type: 'app-log-close', readId: ID },
    { type: 'app-log-chunk', readId: ID, deploymentId: ID, leftOut: 0, lines: [] },
    { type: 'app-log-end', readId: ID },
  ];
  for (const message of later) {
    assert.equal(inVersion(message, 2), null, message.type);
    assert.equal(inVersion(message, 3), message);
  }
});
