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

test('host and hub authenticate each other with their keys, and the host is online until it disconnects', async (t) => {
  const on = await hub(t);
  assert.equal(on.deps.agents.isOnline(on.hostId), false);
  const agent = await on.connect();
  await until(() => on.deps.agents.isOnline(on.hostId));
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
});

test('the hub refuses a wrong key and an unknown host with an error code', async (t) => {
  const on = await hub(t);
  await assert.rejects(on.connect({ key: makeKeyPair() }), /closed the connection \(1008\)/);
  const stranger = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(stranger.shakeHands(randomUUIDv7(), on.hostKey), /1008/);
  assert.partialDeepStrictEqual(stranger.heard.at(-1), { type: 'error', code: 'ORK_SIGNATURE' });
});

test('hub and agent speak the newest version that both support', async (t) => {
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

test('an agent that is too old or too new learns which side to upgrade, and the host shows it until it connects', async (t) => {
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

test('the version that an unauthenticated agent claims is not shown on the host', async (t) => {
  const on = await hub(t);
  const stranger = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  await assert.rejects(stranger.shakeHands(on.hostId, makeKeyPair(), { oldest: 98, protocol: 99 }), /1008/);
  assert.equal(on.deps.agents.refusal(on.hostId), undefined);
});

test('invalid frames get a coded error and 1008, before and after the handshake, and the hub keeps running', async (t) => {
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

test('the hub stops even when an agent keeps sending', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const stopped = on.deps.agents.stop();
  agent.socket.send('x'.repeat(1_048_577));
  await stopped;
  await agent.closed;
});

test('a newer session of a host replaces the older one and gets the jobs', async (t) => {
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

test('the hub disconnects a host that is revoked', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  on.deps.agents.disconnect(on.hostId);
  assert.equal(await agent.closed, 4003);
  assert.equal(on.deps.agents.isOnline(on.hostId), false);
});

test('the hub answers an upgrade to an unknown path and closes its connection even if the client does not', async (t) => {
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

test('the hub drops a host that answers no pings', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 30, handshakeMs: 10_000 } });
  const agent = await on.connect();
  agent.socket.pause(); // alive at the TCP level, silent above it
  await until(() => !on.deps.agents.isOnline(on.hostId));
});

test('a host that answers pings stays online', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 10, handshakeMs: 10_000 } });
  const agent = await on.connect();
  let pings = 0;
  agent.socket.on('ping', () => (pings += 1));
  await until(() => pings > 10);
  assert.equal(on.deps.agents.isOnline(on.hostId), true);
});
