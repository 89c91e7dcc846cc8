import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CutoverReceipt } from '../../../protocol/steps.ts';
import { heldText, receiptText, streamsText } from './receipt.ts';

const side = (served: number, errors = 0) => ({
  targetId: 't',
  requests: { served, failed: 0 },
  errors,
  firstRequestAt: null,
  lastRequestAt: null,
});

const FIRST: CutoverReceipt = {
  generation: 1,
  flippedAt: '2030-01-01T00:00:00.000Z',
  previous: null,
  current: side(0),
  drain: null,
  held: null,
  failed: 0,
  urls: ['https://shop.example.com/'],
};

test('the receipt of a first deployment omits the old side', () => {
  assert.equal(receiptText(FIRST), 'generation 1 · 0 failed');
});

test('the receipt of a full cutover lists every figure', () => {
  const receipt: CutoverReceipt = {
    ...FIRST,
    generation: 7,
    previous: { ...side(5123, 2), inFlightAtFlip: 4 },
    current: side(42),
    drain: { ms: 840, forced: 1, streams: { carried: 3, ended: 1, closed: 2 } },
    held: { requests: 40, refused: 1, p50Ms: 12, maxMs: 80 },
  };
  assert.equal(
    receiptText(receipt),
    [
      'generation 7',
      '0 failed',
      '5123 requests by the old one, 42 by the new',
      'drained in 840 ms, 1 request cut',
      'streams: 3 carried on: 1 ended, 2 closed politely',
      'held: 40 for 12 ms (p50), at most 80 ms; 1 refused',
      '2 answered 5xx by the app',
    ].join(' · '),
  );
});

test('a worker had no requests, which is said instead of counted', () => {
  const drain = { ms: 1, forced: 0, streams: { carried: 0, ended: 0, closed: 0 } };
  const worker: CutoverReceipt = { ...FIRST, previous: { ...side(0), inFlightAtFlip: 0 }, drain, urls: [] };
  assert.equal(receiptText(worker), 'generation 1 · no domain, so no requests');
  const wasWeb = { ...worker, previous: { ...side(7), inFlightAtFlip: 0 } };
  assert.match(receiptText(wasWeb), /7 requests by the old one/);
});

test('the receipt omits zero values', () => {
  const drain = { ms: 1, forced: 0, streams: { carried: 0, ended: 0, closed: 0 } };
  assert.equal(streamsText({ drain }), null);
  assert.equal(heldText({ held: { requests: 2, refused: 0, p50Ms: 1, maxMs: 2 } }), '2 for 1 ms (p50), at most 2 ms');
});
