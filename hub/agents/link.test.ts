import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { makeKeyPair } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { until } from '../../test/harness/until.ts';
import { Host } from '../api/schemas.ts';
import { hub } from '../test-hub.ts';
import { COMMIT } from '../test-release.ts';
import { ScriptedAgent } from './test-agent.ts';

test('a host that proves its key is online, and a hub that proves its own is believed', async (t) => {
  const on = await hub(t);
  assert.equal(on.deps.agents.isOnline(on.hostId), false);
  const agent = await on.connect();
  await until(() => on.deps.agents.isOnline(on.hostId));
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
});

test('another key and an unknown host are refused by their codes', async (t) => {
  const on = await hub(t);
  await assert.rejects(on.connect({ key: makeKeyPair() }), /closed the connection \(1008\)/);
  const stranger = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(stranger.shakeHands(randomUUIDv7(), on.hostKey), /1008/);
  assert.partialDeepStrictEqual(stranger.heard.at(-1), { type: 'error', code: 'ORK_SIGNATURE' });
});

test('hub and agent speak the newest version that both know', async (t) => {
  const on = await hub(t);
  for (const [newest, spoken] of [
    [OLDEST_PROTOCOL, OLDEST_PROTOCOL],
    [PROTOCOL_VERSION, PROTOCOL_VERSION],
    [PROTOCOL_VERSION + 1, PROTOCOL_VERSION],
  ] as const) {
    const agent = await on.connect({ protocol: newest, agentVersion: `9.0.${newest}` });
    assert.partialDeepStrictEqual(on.deps.agents.peer(on.hostId), { agentVersion: `9.0.${newest}`, protocol: spoken });
    await agent.leave();
  }
});

test('an agent that is too old or too new is told which side to upgrade, and the host shows it until it is in', async (t) => {
  const on = await hub(t);
  const refusalOf = async () => {
    const [host] = z.array(Host).parse(await (await on.api('GET', '/hosts')).json());
    return host?.refusal;
  };
  const tooOld = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(
    tooOld.shakeHands(on.hostId, on.hostKey, { oldest: OLDEST_PROTOCOL - 1, protocol: OLDEST_PROTOCOL - 1 }),
    /1008/,
  );
  assert.partialDeepStrictEqual(tooOld.heard.at(-1), { type: 'error', code: 'ORK_PROTOCOL_AGENT_OLD' });
  assert.equal((await refusalOf())?.code, 'ORK_PROTOCOL_AGENT_OLD');
  const tooNew = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(
    tooNew.shakeHands(on.hostId, on.hostKey, { oldest: PROTOCOL_VERSION + 1, protocol: PROTOCOL_VERSION + 2 }),
    /1008/,
  );
  assert.partialDeepStrictEqual(tooNew.heard.at(-1), { type: 'error', code: 'ORK_PROTOCOL_HUB_OLD' });
  assert.match(
    (await refusalOf())?.message ?? '',
    /The hub speaks protocol 2 to 3, the agent 4 to 5\. Upgrade the hub/,
  );
  await on.connect();
  assert.equal(await refusalOf(), null);
});

test('the version that a stranger claims is not shown as that of the host', async (t) => {
  const on = await hub(t);
  const stranger = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(stranger.shakeHands(on.hostId, makeKeyPair(), { oldest: 98, protocol: 99 }), /1008/);
  assert.equal(on.deps.agents.refusal(on.hostId), undefined);
});

test('frames that are no messages get a coded error and 1008, before and after the handshake, and the hub lives on', async (t) => {
  const on = await hub(t);
  const frames = ['', '{', 'null', '[]', '{"type":"report"}', '{"type":"hello"}', '"\u0000"', Buffer.from([1, 2, 3])];
  for (const frame of frames) {
    const before = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
    await before.next('challenge');
    before.socket.send(frame);
    assert.equal((await before.next('error')).code, 'ORK_PROTOCOL');
    assert.equal(await before.closed, 1008);
    const after = await on.connect();
    after.socket.send(frame);
    assert.equal((await after.next('error')).code, 'ORK_PROTOCOL');
    assert.equal(await after.closed, 1008);
  }
  const large = await on.connect();
  large.socket.send('x'.repeat(1_048_577));
  assert.equal(await large.closed, 1009, 'a frame above the limit is not even read');
  await on.connect();
});

test('a hub that stops comes to its end, whatever an agent says meanwhile', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const stopped = on.deps.agents.stop();
  agent.socket.send('x'.repeat(1_048_577));
  await stopped;
  await agent.closed;
});

test('the newest session of a host is the one', async (t) => {
  const on = await hub(t);
  const first = await on.connect();
  const second = await on.connect();
  assert.equal(await first.closed, 4001);
  const { environmentId, account } = on;
  const id = await on.deps.scheduler.create({
    environmentId,
    trigger: 'manual',
    commit: COMMIT,
    branch: 'main',
    userId: account.userId,
  });
  assert.equal((await second.job()).deploymentId, id);
});

test('a host that is revoked is cut off', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  on.deps.agents.disconnect(on.hostId);
  assert.equal(await agent.closed, 4003);
  assert.equal(on.deps.agents.isOnline(on.hostId), false);
});

test('an upgrade to something else is answered, and its connection ended whatever the other side does', async (t) => {
  const on = await hub(t);
  const socket = connect({ port: Number(new URL(on.url).port), host: '127.0.0.1', allowHalfOpen: true });
  let answer = '';
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1'))).on('error', () => undefined);
  socket.write('GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await once(socket, 'end');
  assert.match(answer, /^HTTP\/1.1 404/);
  await until(() => {
    if (!socket.destroyed) socket.write('still here');
    return socket.destroyed;
  });
});

test('a host that answers no ping is given up after two', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 30, handshakeMs: 10_000 } });
  const agent = await on.connect();
  agent.socket.pause(); // alive at the TCP level, silent above it
  await until(() => !on.deps.agents.isOnline(on.hostId));
});

test('one that answers pings stays', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 10, handshakeMs: 10_000 } });
  const agent = await on.connect();
  let pings = 0;
  agent.socket.on('ping', () => (pings += 1));
  await until(() => pings > 10);
  assert.equal(on.deps.agents.isOnline(on.hostId), true);
});
