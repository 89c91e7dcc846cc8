import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { makeQueue } from './queue.ts';
import type { QueueItem } from './queue.ts';

/** A queue whose items end when told to. */
function bench(limits = { maxRunning: 2, maxWaiting: 3 }) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const queue = makeQueue(limits, ({ deploymentId }) => {
    started.push(deploymentId);
    return new Promise((resolve) => ends.set(deploymentId, resolve));
  });
  const end = async (deploymentId: string): Promise<void> => {
    ends.get(deploymentId)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, started, end };
}

const item = (deploymentId: string, environmentId = deploymentId): QueueItem => ({
  deploymentId,
  environmentId,
  kind: 'deploy',
});

test('of one environment only one runs at a time, in order of arrival', async () => {
  const { queue, started, end } = bench();
  for (const id of ['a1', 'a2', 'a3']) queue.add(item(id, 'a'));
  assert.deepEqual(started, ['a1']);
  await end('a1');
  await end('a2');
  assert.deepEqual(started, ['a1', 'a2', 'a3']);
});

test('a busy environment does not hold up another', async () => {
  const { queue, started } = bench();
  queue.add(item('a1', 'a'));
  queue.add(item('a2', 'a'));
  queue.add(item('b1', 'b'));
  assert.deepEqual(started, ['a1', 'b1']);
});

test('no more than the limit run at once', async () => {
  const { queue, started, end } = bench();
  for (const id of ['a', 'b', 'c']) queue.add(item(id));
  assert.deepEqual(started, ['a', 'b']);
  await end('a');
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('a full queue says so by its code', () => {
  const { queue } = bench();
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    queue.checkRoom();
    queue.add(item(id));
  }
  assert.throws(
    () => queue.checkRoom(),
    (error) => error instanceof OrkestrError && error.code === 'ORK_QUEUE_FULL',
  );
});

test('removals are not counted: one always finds room, and takes none from a deployment', () => {
  const { queue } = bench({ maxRunning: 1, maxWaiting: 1 });
  queue.add(item('running'));
  for (const id of ['gone-1', 'gone-2']) queue.add({ ...item(id), kind: 'remove' });
  assert.doesNotThrow(() => queue.checkRoom());
});

test('the same deployment is not queued twice, waiting or running', () => {
  const { queue, started } = bench({ maxRunning: 1, maxWaiting: 3 });
  for (const id of ['a', 'a', 'b', 'b']) queue.add(item(id));
  assert.deepEqual(started, ['a']);
  assert.ok(queue.isIn('b'));
  assert.deepEqual([...queue.environments()], ['a', 'b']);
});

test('a closed queue starts nothing more and is idle when the running ones have ended', async () => {
  const { queue, started, end } = bench({ maxRunning: 1, maxWaiting: 3 });
  queue.add(item('a'));
  queue.add(item('b'));
  queue.close();
  const idle = queue.idle();
  await end('a');
  await idle;
  assert.deepEqual(started, ['a']);
});
