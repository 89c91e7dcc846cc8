import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery, Receiver } from '../../api/schemas.ts';
import { deliveryLine, troubleOf } from './receiver-lines.ts';

const AT = '2030-01-01T00:00:00.000Z';
const NOW = Date.parse(AT) + 5 * 60_000;
const delivery = (state: Delivery['state'], change: Partial<Delivery> = {}): Delivery => ({
  id: 'd',
  state,
  notices: [{ kind: 'deployment.failed', at: AT, summary: `shop/production: ${state}` }],
  leftOut: 0,
  attempts: 1,
  error: null,
  createdAt: AT,
  nextTryAt: null,
  endedAt: null,
  ...change,
});
const error = { code: 'ORK_NOTIFY_ANSWER' as const, message: 'chat.example.com answered with HTTP 404.', evidence: [] };
const receiver = (...deliveries: Delivery[]): Receiver => ({
  name: 'slack',
  kind: 'slack',
  everywhere: false,
  address: 'https://chat.example.com/…',
  notices: [],
  deliveries,
  createdAt: AT,
});

test('each state of a delivery has its own line', () => {
  assert.equal(deliveryLine(delivery('sent', { endedAt: AT }), NOW), 'sent 5 min ago');
  assert.equal(deliveryLine(delivery('given-up', { endedAt: AT }), NOW), 'given up 5 min ago');
  assert.equal(deliveryLine(delivery('sending'), NOW), 'tried once');
  assert.equal(deliveryLine(delivery('sending', { attempts: 3 }), NOW), 'tried 3 times');
  assert.equal(deliveryLine(delivery('collecting'), NOW), 'will be sent soon');
});

test('an undelivered notice is shown with its reason until a delivery succeeds', () => {
  const failed = [delivery('sending', { error }), delivery('given-up', { error })];
  assert.deepEqual(
    troubleOf(receiver(delivery('collecting'), ...failed, delivery('sent'), delivery('given-up', { error }))).map(
      ({ says }) => says,
    ),
    [
      'not delivered yet: shop/production: sending. chat.example.com answered with HTTP 404.',
      'given up: shop/production: given-up. chat.example.com answered with HTTP 404.',
    ],
  );
  assert.deepEqual(troubleOf(receiver(delivery('sent'), ...failed)), []);
});
