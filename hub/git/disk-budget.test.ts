import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskBudget } from './disk-budget.ts';

const MOST = 10_000;
const small = { size: 0, most: MOST, length: 10 };
const large = { size: 0, most: MOST, length: null };

test('space reserved for one push is unavailable to others until it is received or the push ends', async () => {
  let free = 800;
  const budget = new DiskBudget(() => Promise.resolve(free));
  const first = await budget.reserve(large);
  assert.equal(first.bytes, 700, 'an eighth is left to those that come meanwhile');
  assert.equal((await budget.reserve(small)).bytes, 100);
  await assert.rejects(budget.reserve({ ...small, length: 200 }), { code: 'ORK_TOO_MANY_REQUESTS' });
  first.received(300);
  free -= 300; // now used on the disk: the others have as much room as before
  await assert.rejects(budget.reserve({ ...small, length: 200 }), { code: 'ORK_TOO_MANY_REQUESTS' });
  first.release();
  assert.equal((await budget.reserve({ ...small, length: 200 })).bytes, 490);
});

test('concurrent reservations do not get the same space', async () => {
  const budget = new DiskBudget(() => Promise.resolve(1000));
  const reservations = await Promise.allSettled(
    Array.from({ length: 8 }, () => budget.reserve({ ...small, length: 300 })),
  );
  assert.equal(reservations.filter(({ status }) => status === 'fulfilled').length, 3);
});

test('a reservation is capped by the project limit first; a push that cannot fit is left to git, which names the limit', async () => {
  const budget = new DiskBudget(() => Promise.resolve(1000));
  assert.equal((await budget.reserve({ size: 0, most: 50, length: null })).bytes, 50);
  assert.equal((await budget.reserve({ size: 0, most: MOST, length: 5000 })).bytes, 950);
});

test('a repository is repacked only if a copy of it fits on the disk, and that space is reserved, too', async () => {
  const budget = new DiskBudget(() => Promise.resolve(1000));
  assert.equal((await budget.reserve({ ...small, size: 995 })).mayPack, false);
  const packing = await budget.reserve({ ...small, size: 600 });
  assert.equal(packing.mayPack, true);
  assert.equal((await budget.reserve({ ...small, size: 600 })).mayPack, false);
  packing.release();
  assert.equal((await budget.reserve({ ...small, size: 600 })).mayPack, true);
});
