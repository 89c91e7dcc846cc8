/**
 * Node's own parser accepts every request that the fast engine accepts, with the same meaning, wherever it is split.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RequestHead } from './head.ts';
import { RequestReader } from './test-llhttp.ts';
import { chunksInParts, headInParts, sameToLlhttp } from './test-properties.ts';

/** `npm run fuzz:proxy` does many more runs. */
const RUNS = 1500;

test('every accepted request means the same to llhttp: method, target, fields, body and number of requests', async () => {
  let requests = 0;
  const took = (messages: number): void => {
    requests += messages;
  };
  await fc.assert(sameToLlhttp(new RequestReader(), took), { numRuns: RUNS });
  assert.ok(requests > RUNS / 6, `only ${requests} requests were taken in ${RUNS} runs`);
});

test('a head that arrives in parts is read as the same head, and only once it is complete', () => {
  fc.assert(headInParts(new RequestHead()), { numRuns: RUNS / 5 });
});

test('a chunked body is the same however it is split', () => {
  fc.assert(chunksInParts(), { numRuns: RUNS });
});
