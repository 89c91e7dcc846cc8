/**
 * Node's own parser accepts every response that the fast engine accepts, with the same meaning, wherever it is split.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { answerInParts, answerSameToLlhttp } from '../fast/test-properties.ts';
import { ResponseHead } from './response-head.ts';

/** `npm run fuzz:proxy` does many more runs. */
const RUNS = 1000;

test('every accepted response means the same to llhttp: status, fields, body and end', async () => {
  let answers = 0;
  const took = (messages: number): void => {
    answers += messages;
  };
  await fc.assert(answerSameToLlhttp(took), { numRuns: RUNS });
  assert.ok(answers > RUNS / 6, `only ${answers} answers were taken in ${RUNS} runs`);
});

test('a response head that arrives in parts is read as the same head, and only once it is complete', () => {
  fc.assert(answerInParts(new ResponseHead()), { numRuns: RUNS / 5 });
});
