/** All hostile messages of the corpus, for two real upstreams, by both engines; `npm run test:smuggling` has ten. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCorpus } from '../../smuggling/corpus.ts';
import { runSuite } from '../../smuggling/suite.ts';
import { gunicorn } from '../../smuggling/upstreams/gunicorn.ts';
import { nginx } from '../../smuggling/upstreams/nginx.ts';

test('upstreams understand hostile messages in the same way as the proxy forwards and answers them', async () => {
  const messages = readCorpus(join(import.meta.dirname, '../../smuggling/corpus'));
  assert.ok(messages.length >= 150, `${messages.length} messages`);
  const { forwarded, mismatches } = await runSuite({
    messages,
    upstreams: [gunicorn, nginx],
    engines: ['fast', 'http-proxy'],
    atOnce: 4,
    say: () => undefined,
  });
  assert.deepEqual(mismatches, []);
  // More than half of the messages contain requests that pass.
  assert.ok(forwarded > 3 * messages.length, `${forwarded} requests`);
});
