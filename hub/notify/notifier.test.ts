import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/harness/until.ts';
import type { Receiver } from '../api/schemas.ts';
import { KEPT, MAX_NOTICES } from '../store/deliveries.ts';
import { startTestHub } from '../test-hub.ts';
import { NotificationSender } from './notifier.ts';
import { add, COLLECTED, deploy, env, fail, HOUR, list, MINUTE, start, tellOf } from './test-notices.ts';
import { startReceiver } from './test-receiver.ts';

test('a burst becomes a few messages of limited size, and omitted notices are counted', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  for (let n = 0; n < MAX_NOTICES + 5; n += 1) await tellOf(on);
  await later(COLLECTED);
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  await fail(agent, await deploy(on, agent));
  await later(COLLECTED);
  assert.deepEqual(
    messages().map(({ notices, leftOut }) => [notices.length, leftOut]),
    [[MAX_NOTICES, 5]],
    'after a message the next one is gathered for a minute',
  );
  assert.equal(messages()[0]?.notices[0]?.summary, 'vps-1: the host is back');
  await later(MINUTE);
  assert.equal(messages()[1]?.notices.length, 2);
});

test('a failed delivery is retried later with the same id, even after a restart of the hub', async (t) => {
  const { on, receiver, messages, later } = await start(t, true);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  receiver.answer = 503;
  await later(COLLECTED);
  const [{ deliveries }] = (await list(on)) as [Receiver];
  assert.deepEqual(
    deliveries.map(({ state, attempts, error }) => [state, attempts, error?.code, error?.message.split(' ').slice(1)]),
    [['sending', 1, 'ORK_NOTIFY_ANSWER', ['answered', 'with', 'HTTP', '503.']]],
  );
  await fail(agent, await deploy(on, agent));
  await on.stop(true);
  const again = await startTestHub({ env, resume: on });
  t.after(() => again.stop());
  receiver.answer = 200;
  again.pass(COLLECTED + MINUTE);
  await again.deps.notifier.sweep();
  const ids = messages().map(({ id }) => id);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  const states = async () => (await list(again))[0]?.deliveries.map(({ state }) => state);
  await again.deps.notifier.sweep();
  assert.deepEqual(await states(), ['collecting', 'sent'], 'what came meanwhile waits for a minute, too');
  again.pass(MINUTE);
  await again.deps.notifier.sweep();
  assert.deepEqual(await states(), ['sent', 'sent']);
});

test('messages that were scheduled while the clock was ahead are sent once it is corrected', async (t) => {
  const { on, receiver, messages, later } = await start(t);
  const away = await startReceiver(t);
  on.setClock(8 * HOUR);
  await add(on, '/receivers', { name: 'well', kind: 'webhook', address: receiver.url });
  await add(on, '/receivers', { name: 'away', kind: 'webhook', address: away.url });
  away.answer = 503;
  await tellOf(on);
  await later(COLLECTED);
  await tellOf(on);
  away.answer = 200;
  on.setClock(-8 * HOUR);
  await later(0);
  assert.deepEqual([messages().length, away.got.length], [2, 2], 'what collects, and what is tried again');
});

test('a message sent while the clock was ahead does not delay the next one after a restart with the correct clock', async (t) => {
  const { on, receiver, messages, later } = await start(t, true);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  on.setClock(8 * HOUR);
  await tellOf(on);
  await later(COLLECTED);
  assert.equal(messages().length, 1);
  await on.stop(true);
  const again = await startTestHub({ env, resume: on });
  t.after(() => again.stop());
  await again.deps.notifier.sweep();
  await tellOf(again);
  again.pass(COLLECTED);
  await again.deps.notifier.sweep();
  assert.equal(messages().length, 2);
});

test('an attempt that was interrupted by the end of the hub is repeated', async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  receiver.answer = 0;
  const dying = on.deps.notifier.sweep();
  await until(() => receiver.got.length > 0);
  await on.deps.notifier.stop();
  await dying;
  receiver.answer = 200;
  const again = new NotificationSender(on.deps);
  await later(0);
  assert.equal(receiver.got.length, 1);
  assert.equal((await list(on))[0]?.deliveries[0]?.error, null, 'that the hub ended is no fault of the receiver');
  on.pass(2 * MINUTE);
  await again.sweep();
  assert.equal(receiver.got.length, 2);
  assert.equal((await list(on))[0]?.deliveries[0]?.attempts, 2);
});

test('messages that are due while the hub stops are left for the next start', async (t) => {
  const { on, receiver } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  const looking = on.deps.notifier.sweep();
  await on.deps.notifier.stop();
  await looking;
  assert.equal((await list(on))[0]?.deliveries[0]?.attempts, 0);
  assert.equal(receiver.got.length, 0);
});

test('a delivery is given up after a day, with the reason, and the next message is still sent', async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  receiver.answer = 410;
  await later(COLLECTED);
  const tries: number[] = [];
  for (let hour = 0; hour < 23; hour += 1) {
    const before = receiver.got.length;
    for (let minute = 0; minute < 60; minute += 1) await later(MINUTE);
    tries.push(receiver.got.length - before);
    if (hour === 20) await fail(agent, await deploy(on, agent));
  }
  assert.ok((tries[0] ?? 0) >= 4 && (tries.at(-1) ?? 9) <= 2, `fewer and fewer: ${tries.join(' ')}`);
  for (let minute = 0; minute < 180; minute += 1) await later(MINUTE); // the last pause may take 90 minutes
  const shown = async () =>
    (await list(on))[0]?.deliveries.map(({ state, error }) => [state, error?.code ?? null]).toReversed();
  assert.deepEqual(await shown(), [
    ['given-up', 'ORK_NOTIFY_ANSWER'],
    ['sending', 'ORK_NOTIFY_ANSWER'],
  ]);
  receiver.answer = 200;
  for (let minute = 0; minute < 100; minute += 1) await later(MINUTE);
  assert.deepEqual((await shown())?.at(-1), ['sent', null]);
});

test('an unresponsive receiver delays neither reports nor other receivers', async (t) => {
  const { on, receiver, later } = await start(t);
  const stuck = await startReceiver(t);
  stuck.answer = 0;
  await add(on, '/receivers', { name: 'stuck', kind: 'webhook', address: stuck.url });
  await add(on, '/receivers', { name: 'well', kind: 'webhook', address: receiver.url });
  const agent = await on.connect();
  await fail(agent, await deploy(on, agent));
  on.pass(COLLECTED);
  const sending = on.deps.notifier.sweep();
  await until(() => stuck.got.length > 0 && receiver.got.length > 0);
  await agent.live(await deploy(on, agent));
  await on.deps.notifier.stop();
  await sending;
  await later(0);
});

test("only the latest deliveries are kept, and a removed receiver's deliveries are deleted", async (t) => {
  const { on, receiver, later } = await start(t);
  await add(on, '/receivers', { kind: 'webhook', address: receiver.url });
  const count = async (): Promise<number> => (await on.deps.db.selectFrom('delivery').select('id').execute()).length;
  for (let n = 0; n < KEPT + 3; n += 1) {
    await tellOf(on);
    await later(2 * MINUTE);
  }
  assert.equal(receiver.got.length, KEPT + 3);
  assert.equal(await count(), KEPT);
  await on.api('DELETE', '/receivers/webhook');
  assert.equal(await count(), 0);
});
