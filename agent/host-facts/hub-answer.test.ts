import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { askHub } from './hub-answer.ts';

test('the error for a hub without a reachable address names each of its addresses', async () => {
  const addresses = ['127.0.0.2', '127.0.0.3'].map((address) => ({ address, family: 4 }));
  // Nothing listens on port 1 (tcpmux).
  const answer = await askHub('http://hub.invalid:1', systemClock, 10_000, (_name, _options, done) =>
    done(null, addresses),
  );
  assert.deepEqual(answer, {
    reached: false,
    code: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 127.0.0.2:1; connect ECONNREFUSED 127.0.0.3:1',
  });
});
