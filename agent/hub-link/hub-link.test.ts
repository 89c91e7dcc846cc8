import assert from 'node:assert/strict';
import dns from 'node:dns';
import { test } from 'node:test';
import { APP_LOG_WINDOW } from '../../protocol/app-log.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { until } from '../../test/harness/until.ts';
import { systemClock } from '../lib/clock.ts';
import { linkBench, ORDER, readIdOf, RUNNING } from './test-link.ts';
import { linkUrl } from './connection.ts';

test('the link URL of a hub has the same address, with wss for https and ws for http', () => {
  assert.equal(String(linkUrl('https://hub.example.com')), 'wss://hub.example.com/agent');
  assert.equal(String(linkUrl('http://127.0.0.1:7700/')), 'ws://127.0.0.1:7700/agent');
});

test('both sides prove their keys; then status and reports are sent, and deleted once they are acknowledged', async (t) => {
  const { hub, journal, report, link } = await linkBench(t);
  report();
  report('failed');
  await hub.until(() => hub.stored.size === 2 && hub.messages.some(({ type }) => type === 'status'));
  await until(() => journal.outbox.size() === 0);
  assert.deepEqual(hub.received, [1, 2]);
  assert.equal(link.state().connected, true);
  const hello = hub.messages[0];
  assert.ok(hello?.type === 'hello');
  assert.deepEqual(hello.running, [RUNNING]);
});

test('a hub of the previous version gets no message that it does not know', async (t) => {
  const { hub, link, appLogs, report } = await linkBench(t, { protocol: OLDEST_PROTOCOL });
  await hub.until(() => hub.messages.length > 1);
  assert.equal(link.state().connected, true);
  // A hub of that version never orders a read. Even if it did, the result must not be sent.
  hub.send({ type: 'app-log', readId: readIdOf(1), ...ORDER });
  await until(() => appLogs[0]?.taken === APP_LOG_WINDOW + 1);
  report();
  await hub.until(() => hub.stored.size === 1);
  assert.deepEqual(
    hub.messages.filter(({ type }) => type === 'app-log-chunk'),
    [],
  );
});

test('a current hub gets the state of an upgrade at each change and after each welcome', async (t) => {
  const { hub, upgrades } = await linkBench(t);
  await hub.until(() => hub.messages.length > 1);
  hub.send({ type: 'upgrade', upgradeId: RUNNING, version: '9.9.9' });
  const told = () => hub.messages.filter((message) => message.type === 'upgrade-state');
  await hub.until(() => told().length === 1);
  assert.deepEqual(told()[0], upgrades.news());
  assert.equal(told()[0]?.error?.code, 'ORK_UPGRADE_UNSUPPORTED');
  hub.cut();
  await hub.until(() => told().length === 2);
});

test('a change of an upgrade just before the link listens is sent too', async (t) => {
  const { hub, upgrades } = await linkBench(t);
  const listen = upgrades.onChanged.bind(upgrades);
  upgrades.onChanged = (listener) => {
    if (listener) upgrades.order({ type: 'upgrade', upgradeId: RUNNING, version: '9.9.9' });
    listen(listener);
  };
  await hub.until(() => hub.messages.some(({ type }) => type === 'status'));
  assert.equal(hub.messages.filter(({ type }) => type === 'upgrade-state').length, 1);
});

test('the agent leaves a hub that chose a protocol version it cannot speak', async (t) => {
  const { hub, link } = await linkBench(t, { protocol: PROTOCOL_VERSION + 1 });
  await hub.until(() => hub.connections() >= 2);
  assert.equal(link.state().lastCode, 'ORK_PROTOCOL');
  assert.match(link.state().lastError ?? '', /speaks protocol 4, this agent 2 to 3/);
});

test('the error for a hub without a reachable address names each of its addresses', async (t) => {
  const addresses = ['127.0.0.2', '127.0.0.3'].map((address) => ({ address, family: 4 }));
  const { lookup } = dns;
  type Done = (error: NodeJS.ErrnoException | null, found: dns.LookupAddress[]) => void;
  t.mock.method(dns, 'lookup', (name: string, options: dns.LookupAllOptions, done: Done) =>
    name === 'hub.invalid' ? done(null, addresses) : lookup(name, options, done),
  );
  const { link } = await linkBench(t, { name: 'hub.invalid' });
  await until(() => link.state().lastError !== null);
  assert.match(
    link.state().lastError ?? '',
    /^connect ECONNREFUSED 127\.0\.0\.2:\d+; connect ECONNREFUSED 127\.0\.0\.3:\d+$/,
  );
});

test('the agent waits ten times longer before it redials a hub that refuses its version', async (t) => {
  const waits: number[] = [];
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => (waits.push(ms), systemClock.sleep(1, signal)),
  };
  const refusal = JSON.stringify({ type: 'error', code: 'ORK_PROTOCOL_AGENT_OLD', message: 'Upgrade the agent.' });
  const { hub, link } = await linkBench(t, { greeting: refusal }, {}, undefined, clock);
  await hub.until(() => hub.connections() >= 3);
  assert.deepEqual(waits.slice(0, 2), [50, 100]);
  assert.equal(link.state().lastCode, 'ORK_PROTOCOL_AGENT_OLD');
});

test('the link reports a machine cloned from this one and redials less and less often beside it', async (t) => {
  const waits: number[] = [];
  let now = 0;
  const clock = {
    ...systemClock,
    monotonic: () => (now += 15_000), // each connection lasts long
    sleep: (ms: number, signal?: AbortSignal) => (waits.push(ms), systemClock.sleep(1, signal)),
  };
  const { hub, link } = await linkBench(t, {}, {}, undefined, clock);
  for (const sessions of [1, 2, 3]) {
    if (sessions === 1) await hub.nextSession();
    const next = hub.nextSession();
    hub.replace();
    await next;
  }
  assert.deepEqual(waits, [50, 100, 100]);
  await hub.until(() => link.state().connected);
  assert.ok(link.state().twiceAt, 'also while it is connected again');

  const next = hub.nextSession();
  hub.cut();
  await next;
  assert.equal(waits.at(-1), 5, 'what else ends a connection costs no more than before');
});

test('an error code unknown to this version is replaced, and its message is kept', async (t) => {
  const { hub, link } = await linkBench(t, {
    greeting: JSON.stringify({ type: 'error', code: 'OF_TOMORROW', message: 'So it is.' }),
  });
  await hub.until(() => hub.connections() >= 2);
  assert.equal(link.state().lastCode, 'ORK_CODE_UNKNOWN');
  assert.match(link.state().lastError ?? '', /So it is/);
});

test('a hub that does not have the pinned key gets nothing', async (t) => {
  const { hub, report, link } = await linkBench(t, { impostor: true });
  report();
  await hub.until(() => hub.connections() >= 3);
  assert.deepEqual(hub.received, []);
  assert.equal(link.state().connected, false);
  assert.match(link.state().lastError ?? '', /not the hub/);
});

test('a host whose key the hub does not know redials and reports why', async (t) => {
  const { hub, link } = await linkBench(t, { hostPublicKey: makeKeyPair().publicKey });
  await hub.until(() => hub.connections() >= 2);
  assert.match(link.state().lastError ?? '', /not the key of this host/);
});

test('a half-open connection is detected by its silence and replaced', async (t) => {
  const { hub } = await linkBench(t, {}, { pingMs: 20, deadMs: 100 });
  await hub.until(() => hub.messages.length > 0);
  hub.freeze();
  await hub.until(() => hub.connections() === 2);
});

const HOSTILE: readonly [string, string | Buffer][] = [
  ['no JSON', 'hello'],
  ['an empty frame', ''],
  ['JSON that is no object', '[1,2]'],
  ['null', 'null'],
  ['an unknown type', '{"type":"shutdown"}'],
  ['a second challenge', JSON.stringify({ type: 'challenge', nonce: 'n'.repeat(43) })],
  ['a job with a field of a wrong type', '{"type":"job","envelope":{"payload":1,"signature":2},"leaseSeconds":1}'],
  ['__proto__', '{"type":"ack","__proto__":{"sequence":5}}'],
  ['a negative acknowledgement', '{"type":"ack","sequence":-1}'],
  ['a fraction of an acknowledgement', '{"type":"ack","sequence":1.5}'],
  ['binary', Buffer.from([0, 1, 2, 3])],
  ['more than a frame may hold', 'x'.repeat(1_100_000)],
  ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
];

for (const [what, frame] of HOSTILE) {
  test(`${what} from the hub closes the connection, not the process, and the next connection works`, async (t) => {
    const { hub, report } = await linkBench(t);
    await hub.until(() => hub.messages.length > 0);
    hub.send(frame);
    await hub.until(() => hub.connections() === 2);
    report();
    await hub.until(() => hub.stored.size === 1);
  });
}

test('a first message other than a challenge is refused', async (t) => {
  const { hub } = await linkBench(t, {
    greeting: '{"type":"cancel","deploymentId":"018f0000-0000-7000-8000-0000000000ff"}',
  });
  await hub.until(() => hub.connections() === 2);
  assert.deepEqual(hub.messages, []);
});
