import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, COLLECTED, HOUR, leave, MINUTE, start } from './test-notices.ts';

test('an offline host is reported once after a while, and once when it stays online again', async (t) => {
  const { on, receiver, messages, kinds, later } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  const { hostWatch } = on.deps;
  const watch = async (ms: number): Promise<void> => {
    on.pass(ms);
    await hostWatch.sweep();
    await later(COLLECTED);
  };
  await leave(on, await on.connect());
  await watch(4 * MINUTE);
  assert.deepEqual(kinds(), []);
  await watch(2 * MINUTE);
  await watch(MINUTE);
  assert.deepEqual(kinds(), ['host.offline']);
  const [notice] = messages()[0]?.notices ?? [];
  assert.deepEqual(notice?.host, { id: on.hostId, name: 'vps-1' });
  assert.deepEqual([notice?.error?.code, notice?.url], ['ORK_HOST_OFFLINE', `${on.url}/hosts`]);
  // The host is flapping.
  for (let n = 0; n < 5; n += 1) {
    const agent = await on.connect();
    await watch(20_000);
    await leave(on, agent);
    await watch(10 * MINUTE);
  }
  assert.deepEqual(kinds(), ['host.offline']);
  await on.connect();
  await watch(2 * MINUTE);
  await watch(2 * MINUTE);
  assert.deepEqual(kinds(), ['host.offline', 'host.back']);
});

test('setting the clock neither triggers nor suppresses a report that a host is offline or back', async (t) => {
  for (const setMs of [2 * HOUR, -8 * HOUR]) {
    const { on, receiver, kinds, later } = await start(t);
    await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
    const watch = async (ms: number): Promise<void> => {
      on.pass(ms);
      await on.deps.hostWatch.sweep();
      await later(COLLECTED);
    };
    await leave(on, await on.connect());
    await watch(MINUTE);
    on.setClock(setMs);
    await watch(4 * MINUTE);
    assert.deepEqual(kinds(), []);
    await watch(2 * MINUTE);
    assert.deepEqual(kinds(), ['host.offline'], `${setMs}`);
    await on.connect();
    on.setClock(setMs);
    await watch(30_000);
    await watch(MINUTE);
    assert.deepEqual(kinds(), ['host.offline', 'host.back'], `${setMs}`);
  }
});
