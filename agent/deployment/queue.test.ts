import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { makeQueue } from './queue.ts';
import type { QueueItem } from './queue.ts';

/** A queue whose items leave their slot and end when the test says so. */
function bench(limits = { maxRunning: 2, maxWaiting: 3 }) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const slots = new Map<string, () => void>();
  const queue = makeQueue(limits, ({ deploymentId }, leaveSlot) => {
    started.push(deploymentId);
    slots.set(deploymentId, leaveSlot);
    return new Promise((resolve) => ends.set(deploymentId, resolve));
  });
  const end = async (deploymentId: string): Promise<void> => {
    ends.get(deploymentId)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const leave = (deploymentId: string): void => slots.get(deploymentId)?.();
  return { queue, started, end, leave };
}

/** Pseudo-random numbers below `n`, the same for the same seed (a linear congruential generator). */
function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * n);
  };
}

const item = (deploymentId: string, environmentId = deploymentId): QueueItem => ({
  deploymentId,
  environmentId,
  kind: 'deploy',
});

test('each environment runs one item at a time, in order of arrival', async () => {
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

test('at most maxRunning items run at once', async () => {
  const { queue, started, end } = bench();
  for (const id of ['a', 'b', 'c']) queue.add(item(id));
  assert.deepEqual(started, ['a', 'b']);
  await end('a');
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('an item that leaves its slot frees it once, and keeps its own environment busy until it ends', async () => {
  const { queue, started, end, leave } = bench({ maxRunning: 1, maxWaiting: 9 });
  for (const [id, environment] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['b1', 'b'],
    ['c1', 'c'],
  ])
    queue.add(item(id ?? '', environment));
  leave('a1');
  leave('a1');
  assert.deepEqual(started, ['a1', 'b1']);
  assert.ok(queue.isIn('a1'));
  await end('a1');
  assert.deepEqual(started, ['a1', 'b1'], 'its end frees no second slot');
  await end('b1');
  leave('a1');
  assert.deepEqual(started, ['a1', 'b1', 'a2'], 'and it cannot give away the slot of the next of its environment');
});

test('in any order of arrival each environment runs one item, the slots suffice, and every item runs', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const dice = seeded(seed);
    const maxRunning = 1 + dice(3);
    const { queue, started, end, leave } = bench({ maxRunning, maxWaiting: 99 });
    const running = new Map<string, string>();
    const inSlots = new Set<string>();
    let told = 0;
    const look = (): void => {
      for (const id of started.slice(told)) {
        const environment = id.slice(0, 1);
        assert.ok(!running.has(environment), `seed ${seed}: ${id} beside ${running.get(environment)}`);
        running.set(environment, id);
        inSlots.add(id);
      }
      told = started.length;
      assert.ok(inSlots.size <= maxRunning, `seed ${seed}: ${[...inSlots].join()} in ${maxRunning} slots`);
    };
    const ids = Array.from({ length: 12 }, (_, n) => `${'abcd'[dice(4)]}${n}`);
    const waiting = [...ids];
    while (waiting.length > 0 || running.size > 0) {
      const one = [...running.values()][dice(running.size)];
      const move = dice(3);
      if (move === 0 && waiting.length > 0) queue.add(item(waiting[0] ?? '', waiting.shift()?.slice(0, 1)));
      if (move === 1 && one !== undefined) {
        inSlots.delete(one);
        leave(one);
      }
      if (move === 2 && one !== undefined) {
        inSlots.delete(one);
        running.delete(one.slice(0, 1));
        await end(one);
      }
      look();
    }
    assert.deepEqual(started.toSorted(), ids.toSorted());
  }
});

test('a queue is idle only after items that left their slot have ended too', async () => {
  const { queue, end, leave } = bench();
  queue.add(item('a'));
  leave('a');
  let isIdle = false;
  const idle = queue.idle().then(() => (isIdle = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isIdle, false);
  await end('a');
  await idle;
});

test('a full queue throws ORK_QUEUE_FULL', () => {
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

test('removals do not count towards the limit: they always find room and take none from a deployment', () => {
  const { queue } = bench({ maxRunning: 1, maxWaiting: 1 });
  queue.add(item('running'));
  for (const id of ['gone-1', 'gone-2']) queue.add({ ...item(id), kind: 'remove' });
  assert.doesNotThrow(() => queue.checkRoom());
});

test('the number of comparisons for many waiting removals grows at most quadratically', () => {
  const { queue } = bench();
  const count = 200;
  let looks = 0;
  for (let n = 0; n < count; n += 1) {
    const one = item(`gone-${n}`);
    queue.add({
      ...one,
      kind: 'remove',
      get environmentId() {
        looks += 1;
        return one.environmentId;
      },
    });
  }
  assert.ok(looks < 4 * count ** 2, `${looks} looks at ${count} removals`);
});

test('a removal waits for earlier items of its own environment only, and removals run one by one', async () => {
  const { queue, started, end } = bench({ maxRunning: 1, maxWaiting: 3 });
  for (const id of ['a1', 'b1', 'c1']) queue.add(item(id, id.slice(0, 1)));
  for (const id of ['b2', 'c2']) queue.add({ ...item(id, id.slice(0, 1)), kind: 'remove' });
  assert.deepEqual(started, ['a1', 'b1'], 'what was before it has only to end');
  await end('b1');
  assert.deepEqual(started, ['a1', 'b1', 'c1']);
  await end('c1');
  await end('b2');
  assert.deepEqual(started, ['a1', 'b1', 'c1', 'b2', 'c2']);
});

test('an item that only has to end needs no slot but still waits for its environment', async () => {
  const { queue, started, end } = bench({ maxRunning: 1, maxWaiting: 9 });
  for (const id of ['a1', 'b1', 'a2', 'c1']) queue.add(item(id, id.slice(0, 1)));
  queue.letGo('b1');
  queue.letGo('a2');
  queue.letGo('nobody');
  assert.deepEqual(started, ['a1', 'b1']);
  await end('b1');
  assert.deepEqual(started, ['a1', 'b1'], 'its end frees no slot');
  await end('a1');
  assert.deepEqual(started, ['a1', 'b1', 'a2', 'c1']);
});

test('the same deployment is not queued twice, whether it waits or runs', () => {
  const { queue, started } = bench({ maxRunning: 1, maxWaiting: 3 });
  for (const id of ['a', 'a', 'b', 'b']) queue.add(item(id));
  assert.deepEqual(started, ['a']);
  assert.ok(queue.isIn('b'));
  assert.deepEqual([...queue.environments()], ['a', 'b']);
});

test('a closed queue starts nothing more and becomes idle when its running items have ended', async () => {
  const { queue, started, end } = bench({ maxRunning: 1, maxWaiting: 3 });
  queue.add(item('a'));
  queue.add(item('b'));
  queue.close();
  const idle = queue.idle();
  await end('a');
  await idle;
  assert.deepEqual(started, ['a']);
});
