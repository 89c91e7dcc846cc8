/** The bench must notice each fault: a count that is always 0 would prove nothing. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { Payload } from './app/payload.ts';
import { RequestTimes } from './app/request-times.ts';
import { AnswerCheck } from './client/answer-check.ts';
import { KINDS } from './client/kinds.ts';
import type { Kind } from './client/kinds.ts';
import { interleave } from './client/load.ts';
import { LongLived } from './client/long-lived.ts';
import type { End } from './client/long-lived.ts';
import { percentile, TallyBook, Wrong } from './client/tally.ts';
import type { Receiver } from './client/ways.ts';
import { nowMs } from './clock.ts';

const payload = new Payload();
const kind = (name: string): Kind => KINDS.find((one) => one.name === name) as Kind;
const HEAD = { 'x-version': '7', 'x-answers': 'mark' };

/** How the bench judges a response. */
async function judged(name: string, answer: (receiver: Receiver) => void): Promise<string> {
  try {
    return `version ${await new Promise<string>((resolve, reject) => {
      answer(new AnswerCheck(kind(name), payload, 'mark', resolve, reject));
    })}`;
  } catch (error) {
    assert.ok(error instanceof Wrong);
    return error.kind;
  }
}

test('a response is right only if all of it is, and it belongs to its request', async () => {
  const right = payload.slice(1024);
  const answers: [string, string, (receiver: Receiver) => void][] = [
    [
      'version 7',
      'GET',
      (to) => (to.head(200, HEAD), to.data(right.subarray(0, 9)), to.data(right.subarray(9)), to.end()),
    ],
    ['version 7', 'GET 204', (to) => (to.head(204, HEAD), to.end())],
    ['version 7', 'HEAD', (to) => (to.head(200, { ...HEAD, 'content-length': '1024' }), to.end())],
    ['version 7', 'POST', (to) => (to.head(200, HEAD), to.data(Buffer.from(payload.hash(10_240))), to.end())],
    ['truncated', 'GET', (to) => (to.head(200, HEAD), to.data(right.subarray(0, 1023)), to.end())],
    ['truncated', 'GET', (to) => (to.head(200, HEAD), to.data(right), to.data(right.subarray(0, 1)), to.end())],
    [
      'truncated',
      'GET',
      (to) => (to.head(200, HEAD), to.data(right.subarray(1)), to.data(right.subarray(0, 1)), to.end()),
    ],
    ['truncated', 'GET', (to) => (to.head(200, HEAD), to.data(right), to.error(new Error('reset')))],
    ['truncated', 'POST', (to) => (to.head(200, HEAD), to.data(Buffer.from(payload.hash(10_239))), to.end())],
    ['failed', 'GET', (to) => to.error(new Error('refused'))],
    ['failed', 'GET', (to) => (to.head(502, {}), to.data(Buffer.from('Bad Gateway')), to.end())],
    ['failed', 'GET', (to) => (to.head(200, { ...HEAD, 'x-answers': 'other' }), to.data(right), to.end())],
    ['failed', 'HEAD', (to) => (to.head(200, HEAD), to.end())],
  ];
  for (const [verdict, name, answer] of answers) assert.equal(await judged(name, answer), verdict, answer.toString());
});

test('a request that was sent after the flip, or accepted long after it, is a stray', () => {
  let now = 0;
  const times = new RequestTimes({ arrivedAt: () => now });
  for (const [sent, takenUp] of [
    [90, 95],
    [99, 150],
    [99, 151],
    [101, 102],
    [NaN, 120],
  ] as const) {
    now = takenUp;
    times.takeUp({ method: 'GET', url: '/', headers: { 'x-sent': String(sent) } } as unknown as IncomingMessage);
  }
  const { late, misrouted, said } = times.strays(100);
  assert.deepEqual([late, misrouted, said.length], [1, 1, 2]);
});

/** Faults counted when a connection ends this way, on a version whose connections may close after `closesInMs`. */
async function endOf(end: End, closesInMs: number | null): Promise<Record<string, number>> {
  const book = new TallyBook();
  const longLived = new LongLived(book);
  const first = Promise.withResolvers<End>();
  let opened = 0;
  const ended = (): Promise<End> => ((opened += 1) === 1 ? first.promise : Promise.withResolvers<End>().promise);
  const again = Promise.withResolvers<void>();
  const open = async () => {
    const open = { version: '1', ended: ended(), end: () => undefined };
    if (opened === 2) again.resolve();
    return open;
  };
  await longLived.keep({ name: 'socket', open }, 1);
  if (closesInMs !== null) longLived.retired({ version: '1', closesFrom: nowMs() + closesInMs });
  first.resolve(end);
  await again.promise;
  longLived.finish();
  const { faults, closed } = book.read();
  return { cut: faults.newSocketsCut, wordless: faults.noCloseFrame, closed };
}

test('a long-lived connection may end at the deadline of its version with a Close frame, and is opened again', async () => {
  const [clean, unclean] = [
    { clean: true, how: '1001' },
    { clean: false, how: '1006' },
  ];
  assert.deepEqual(await endOf(clean, -1), { cut: 0, wordless: 0, closed: 1 });
  assert.deepEqual(await endOf(unclean, -1), { cut: 0, wordless: 1, closed: 1 });
  assert.deepEqual(await endOf(clean, 10_000), { cut: 1, wordless: 0, closed: 0 });
  assert.deepEqual(await endOf(clean, null), { cut: 1, wordless: 0, closed: 0 });
});

test('the load plan has each kind in its share, spread evenly', () => {
  const plan = interleave(KINDS);
  assert.equal(plan.length, 1000);
  for (const part of [plan.slice(0, 100), plan.slice(450, 550)]) {
    const gets = part.filter(({ name }) => name === 'GET').length;
    assert.ok(gets >= 38 && gets <= 43, `${gets} of 100`);
  }
});

test('a percentile is the value that the given share does not exceed', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual([percentile(values, 0.99), percentile(values, 0.5), percentile([], 0.99)], [99, 50, 0]);
});
