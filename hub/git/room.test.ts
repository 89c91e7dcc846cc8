import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Room } from './room.ts';

const MOST = 10_000;
const small = { size: 0, most: MOST, length: 10 };
const large = { size: 0, most: MOST, length: null };

test('what is promised to one push is not promised to another, until it has come or the push has ended', async () => {
  let free = 800;
  const room = new Room(() => Promise.resolve(free));
  const first = await room.share(large);
  assert.equal(first.bytes, 700, 'an eighth is left to those that come meanwhile');
  assert.equal((await room.share(small)).bytes, 100);
  await assert.rejects(room.share({ ...small, length: 200 }), { code: 'ORK_TOO_MANY_REQUESTS' });
  first.came(300);
  free -= 300; // it is on the disk: as much room as before for the others
  await assert.rejects(room.share({ ...small, length: 200 }), { code: 'ORK_TOO_MANY_REQUESTS' });
  first.giveBack();
  assert.equal((await room.share({ ...small, length: 200 })).bytes, 490);
});

test('pushes that ask at the same moment do not see the same room', async () => {
  const room = new Room(() => Promise.resolve(1000));
  const shares = await Promise.allSettled(Array.from({ length: 8 }, () => room.share({ ...small, length: 300 })));
  assert.equal(shares.filter(({ status }) => status === 'fulfilled').length, 3);
});

test('a push is bounded by its project first; one that never fits is left to git, which names the limit', async () => {
  const room = new Room(() => Promise.resolve(1000));
  assert.equal((await room.share({ size: 0, most: 50, length: null })).bytes, 50);
  assert.equal((await room.share({ size: 0, most: MOST, length: 5000 })).bytes, 950);
});

test('a repository is packed anew only where its copy fits in as well, and that is promised, too', async () => {
  const room = new Room(() => Promise.resolve(1000));
  assert.equal((await room.share({ ...small, size: 995 })).mayPack, false);
  const packing = await room.share({ ...small, size: 600 });
  assert.equal(packing.mayPack, true);
  assert.equal((await room.share({ ...small, size: 600 })).mayPack, false);
  packing.giveBack();
  assert.equal((await room.share({ ...small, size: 600 })).mayPack, true);
});
