import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConcurrencyLimit } from './concurrency-limit.ts';

test('one client can use only its share of the slots, and finished work frees its slot', async () => {
  const limit = new ConcurrencyLimit({ inAll: 3, ofOne: 2 }, { inAll: 'all are running', ofOne: 'yours are running' });
  const over = Promise.withResolvers<void>();
  const work = (asker: string): Promise<void> => limit.run(asker, () => over.promise);
  const working = [work('a'), work('a')];
  await assert.rejects(work('a'), { code: 'ORK_TOO_MANY_REQUESTS', message: 'yours are running' });
  working.push(work('b'));
  await assert.rejects(work('c'), { code: 'ORK_TOO_MANY_REQUESTS', message: 'all are running' });
  over.resolve();
  await Promise.all(working);
  assert.equal(await limit.run('a', () => Promise.resolve('done')), 'done');
});

test('failed work frees its slot', async () => {
  const limit = new ConcurrencyLimit({ inAll: 1, ofOne: 1 }, { inAll: 'all are running', ofOne: 'yours are running' });
  for (let n = 0; n < 3; n += 1) {
    await assert.rejects(
      limit.run('a', () => Promise.reject(new Error('it fails'))),
      /it fails/,
    );
  }
});
