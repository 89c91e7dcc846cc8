import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Seats } from './seats.ts';

test('one asker takes so many seats and leaves the others to others; who goes makes room', async () => {
  const seats = new Seats({ inAll: 3, ofOne: 2 }, { inAll: 'all are taken', ofOne: 'yours are taken' });
  const over = Promise.withResolvers<void>();
  const sit = (asker: string): Promise<void> => seats.hold(asker, () => over.promise);
  const sitting = [sit('a'), sit('a')];
  await assert.rejects(sit('a'), { code: 'ORK_TOO_MANY_REQUESTS', message: 'yours are taken' });
  sitting.push(sit('b'));
  await assert.rejects(sit('c'), { code: 'ORK_TOO_MANY_REQUESTS', message: 'all are taken' });
  over.resolve();
  await Promise.all(sitting);
  assert.equal(await seats.hold('a', () => Promise.resolve('done')), 'done');
});

test('work that fails gives its seat back', async () => {
  const seats = new Seats({ inAll: 1, ofOne: 1 }, { inAll: 'all are taken', ofOne: 'yours are taken' });
  for (let n = 0; n < 3; n += 1) {
    await assert.rejects(
      seats.hold('a', () => Promise.reject(new Error('it fails'))),
      /it fails/,
    );
  }
});
