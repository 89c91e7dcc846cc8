import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { openSlotAffinity } from './slot-affinity.ts';
import { makeSlotQueue, type SlotQueue } from './slot-queue.ts';

const never = new AbortController().signal;
const nobody = (): void => assert.fail('it should not have to wait');
const get = (queue: SlotQueue, environmentId: string): Promise<number> => queue.acquire(environmentId, never, nobody);

test('an environment gets its previous slot, also after a restart, or else the first free one', async (t) => {
  const folder = temporaryFolder(t);
  const queue = makeSlotQueue(3, openSlotAffinity(folder));
  assert.deepEqual([await get(queue, 'a'), await get(queue, 'b')], [0, 1]);
  queue.release(0);
  queue.release(1);
  assert.equal(await get(queue, 'b'), 1);
  assert.equal(await get(queue, 'c'), 0);
  assert.equal(await get(queue, 'a'), 2); // its previous slot is taken
  const restarted = makeSlotQueue(3, openSlotAffinity(folder));
  assert.deepEqual([await get(restarted, 'a'), await get(restarted, 'b')], [2, 1]);
});

test('neither a previous slot that no longer exists nor an unreadable file prevents an assignment', async (t) => {
  const folder = temporaryFolder(t);
  openSlotAffinity(folder).set('a', 3);
  assert.equal(await get(makeSlotQueue(1, openSlotAffinity(folder)), 'a'), 0);
  writeFileSync(join(folder, 'slots.json'), '{"not": ');
  assert.equal(await get(makeSlotQueue(1, openSlotAffinity(folder)), 'a'), 0);
});

test('builds without a slot wait in order of arrival and learn how many are ahead', async (t) => {
  const queue = makeSlotQueue(1, openSlotAffinity(temporaryFolder(t)));
  const index = await get(queue, 'a');
  const before: number[] = [];
  const order: string[] = [];
  const wait = (name: string): Promise<unknown> =>
    queue.acquire(name, never, (count) => before.push(count)).then(() => order.push(name));
  const both = [wait('b'), wait('c')];
  queue.release(index);
  await both[0];
  queue.release(index);
  await both[1];
  assert.deepEqual(
    [before, order],
    [
      [0, 1],
      ['b', 'c'],
    ],
  );
});

test('a build that is cancelled while it waits leaves the queue', async (t) => {
  const queue = makeSlotQueue(1, openSlotAffinity(temporaryFolder(t)));
  const index = await get(queue, 'a');
  const cancel = new AbortController();
  const cancelled = queue.acquire('b', cancel.signal, () => undefined);
  const next = queue.acquire('c', never, () => undefined);
  cancel.abort();
  await assert.rejects(cancelled, { code: 'ORK_CANCELLED' });
  queue.release(index);
  assert.equal(await next, index);
  await assert.rejects(queue.acquire('d', cancel.signal, nobody), { code: 'ORK_CANCELLED' });
});

test('a full queue throws ORK_QUEUE_FULL', async (t) => {
  const queue = makeSlotQueue(1, openSlotAffinity(temporaryFolder(t)));
  await get(queue, 'a');
  for (let count = 0; count < 32; count += 1) void queue.acquire(`w${count}`, never, () => undefined);
  await assert.rejects(get(queue, 'z'), { code: 'ORK_QUEUE_FULL', message: /32 builds are already waiting/ });
});
