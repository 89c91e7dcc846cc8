import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { AGENT_LINK_PATH, type Report } from '../../protocol/agent-link.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { Host } from '../api/schemas.ts';
import { findDeployment } from '../store/deployments.ts';
import { listEvents } from '../store/events.ts';
import { listLoggedSteps, LOG_CAP_BYTES, readLog } from '../store/logs.ts';
import { findRelease } from '../store/releases.ts';
import { listSteps } from '../store/steps.ts';
import { AT, COMMIT, ScriptedAgent, hub, exampleRelease, type TestHub, until } from './test-hub.ts';

const deploy = (on: TestHub, trigger: 'push' | 'manual' = 'manual'): Promise<string> =>
  on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger,
    commit: COMMIT,
    branch: 'main',
    userId: on.account.userId,
  });

const statusOf = async (on: TestHub, id: string): Promise<string | undefined> =>
  (await findDeployment(on.deps.db, id))?.status;

const log = (deploymentId: string, offset: number, text: string): Report => ({
  kind: 'log',
  deploymentId,
  step: 'build',
  offset,
  data: Buffer.from(text).toString('base64'),
});

async function logText(on: TestHub, id: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of readLog(on.deps.db, id, 'build')) parts.push(part);
  return Buffer.concat(parts).toString();
}

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
  const id = await deploy(on);
  assert.equal((await second.job()).deploymentId, id);
});

test('a host that is revoked is cut off', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  on.deps.agents.disconnect(on.hostId);
  assert.equal(await agent.closed, 4003);
  assert.equal(on.deps.agents.isOnline(on.hostId), false);
});

test('connections that say nothing do not shut agents out: the oldest goes, first of its own address', async (t) => {
  const on = await hub(t);
  const path = `${on.url.replace('http', 'ws')}${AGENT_LINK_PATH}`;
  const closed: string[] = [];
  const sit = async (address: string, name: string): Promise<void> => {
    const socket = new WebSocket(path, { localAddress: address });
    socket.on('error', () => undefined).on('close', () => closed.push(name));
    await once(socket, 'open');
  };
  for (let n = 0; n < 33; n += 1) await sit('127.0.0.2', `two ${n}`);
  await until(() => closed.length === 1);
  for (let n = 0; n < 33; n += 1) await sit('127.0.0.3', `three ${n}`);
  await until(() => closed.length === 2);
  assert.deepEqual(closed, ['two 0', 'three 0']);
  await on.connect();
  await until(() => closed.length === 3);
  assert.equal(closed[2], 'two 1');
});

test('a client that has a whole network of IPv6 addresses is one client', async (t) => {
  const on = await hub(t);
  const path = `${on.url.replace('http', 'ws')}${AGENT_LINK_PATH}`;
  const closed: string[] = [];
  const sit = async (address: string): Promise<void> => {
    // As the proxy on this machine names whom it speaks for.
    const socket = new WebSocket(path, { headers: { 'x-forwarded-for': `192.0.2.1, ${address}` } });
    socket.on('error', () => undefined).on('close', () => closed.push(address));
    await once(socket, 'open');
  };
  await sit('2001:db8:1:1::1');
  for (let n = 1; n <= 33; n += 1) await sit(`2001:db8:1:2::${n}`);
  await until(() => closed.length === 1);
  assert.deepEqual(closed, ['2001:db8:1:2::1'], 'its own oldest one goes, not that of a neighbour');
});

test('behind a load balancer that the hub trusts, each of its clients is one', async (t) => {
  const on = await hub(t, { env: { ORKESTR_HUB_TRUSTED: '10.0.0.8/30' } });
  const path = `${on.url.replace('http', 'ws')}${AGENT_LINK_PATH}`;
  const closed: string[] = [];
  const sit = async (address: string, name: string): Promise<void> => {
    const socket = new WebSocket(path, { headers: { 'x-forwarded-for': `192.0.2.1, ${address}, 10.0.0.9` } });
    socket.on('error', () => undefined).on('close', () => closed.push(name));
    await once(socket, 'open');
  };
  await sit('198.51.100.1', 'a neighbour');
  for (let n = 0; n < 33; n += 1) await sit('198.51.100.2', `crowd ${n}`);
  await until(() => closed.length === 1);
  assert.deepEqual(closed, ['crowd 0']);
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

test('a connection that never says hello is closed', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 1000, handshakeMs: 20 } });
  const silent = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  assert.equal(await silent.closed, 1006);
});

test('reports become status, steps, log and release', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  await agent.report({ kind: 'step', deploymentId: id, step: 'clone', status: 'running', startedAt: AT, ms: null });
  assert.equal(await statusOf(on, id), 'running');
  const output = { commit: COMMIT, subject: 's', author: 'a', files: 1, bytes: 2 };
  await agent.report({ kind: 'step', deploymentId: id, step: 'clone', status: 'done', startedAt: AT, ms: 5, output });
  await agent.report({
    kind: 'step',
    deploymentId: id,
    step: 'analyze',
    status: 'done',
    startedAt: AT,
    ms: 5,
    output: { nonsense: true },
  });
  await agent.report(log(id, 0, 'hello '));
  await agent.report(log(id, 6, 'world'));
  await agent.live(job);
  assert.equal(await statusOf(on, id), 'live');
  const [clone, analyze] = await listSteps(on.deps.db, id);
  assert.deepEqual(clone?.output, output);
  assert.equal(analyze?.output, null, 'an output of another shape is not stored');
  assert.equal(await logText(on, id), 'hello world');
  assert.deepEqual(await findRelease(on.deps.db, id), exampleRelease(id));
});

test('replayed reports change nothing, and a gap is refused', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  await agent.report(log(id, 0, 'once'));
  await agent.live(job);
  const events = await listEvents(on.deps.db, id, 0, 100);
  const replay: Report[] = [
    log(id, 0, 'twice'),
    { kind: 'deployment', deploymentId: id, generation: job.generation, status: 'failed', at: AT },
  ];
  for (const [index, report] of replay.entries()) agent.say({ type: 'report', sequence: index + 1, report });
  await agent.report(log(id, 4, '!')); // sequence 4: handled after the replayed ones
  assert.equal(await logText(on, id), 'once!');
  assert.equal(await statusOf(on, id), 'live');
  assert.equal((await listEvents(on.deps.db, id, 0, 100)).length, events.length + 1);

  agent.say({ type: 'report', sequence: 9, report: log(id, 5, '?') });
  assert.equal((await agent.next('error')).code, 'ORK_PROTOCOL');
  assert.equal(await agent.closed, 1008);
  const again = await on.connect();
  assert.equal(again.acknowledged, 4);
});

test('a report that cannot be read is counted, and those after it are stored', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  const strange = { kind: 'step', deploymentId: id, step: 'of tomorrow', status: 'done', startedAt: AT, ms: 1 };
  agent.socket.send(JSON.stringify({ type: 'report', sequence: 1, report: strange }));
  agent.say({ type: 'report', sequence: 2, report: log(id, 0, 'stored') });
  const error: ErrorReport = { code: 'ORK_INTERNAL', message: 'x'.repeat(4001), evidence: [] };
  const end: Report = { kind: 'deployment', deploymentId: id, generation: 1, status: 'failed', at: AT, error };
  agent.say({ type: 'report', sequence: 3, report: end });
  await agent.stored(3);
  assert.equal(await logText(on, id), 'stored');
  assert.equal(await statusOf(on, id), 'failed', 'what can be read of a report counts');
});

test('reports about what is not on this host, was never sent or is of another generation are counted and change nothing', async (t) => {
  const on = await hub(t);
  const waiting = await deploy(on); // offline: never sent
  const agent = await on.connect();
  const job = await agent.job();
  assert.equal(job.deploymentId, waiting);
  const second = await deploy(on);
  const stale = { ...job, deploymentId: second };
  await agent.end({ ...job, generation: 77 }, 'failed');
  await agent.end({ ...job, deploymentId: randomUUIDv7() }, 'failed');
  await agent.report(log(randomUUIDv7(), 0, 'foreign'));
  await agent.end(stale, 'failed');
  assert.equal(agent.acknowledged, 4);
  assert.equal(await statusOf(on, waiting), 'queued');
  assert.equal(await statusOf(on, second), 'queued');
});

test('what a host refuses as older than it knows is sent again above that, and what waits stays behind', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const [first, second] = [await deploy(on), await deploy(on)];
  const job = await agent.job();
  const stale: Report = {
    kind: 'deployment',
    deploymentId: first,
    generation: 1,
    status: 'failed',
    at: AT,
    error: { code: 'ORK_GENERATION_STALE', message: 'So it is.', evidence: [] },
  };
  await agent.report({ ...stale, newest: 7 });
  await agent.report({ ...stale, newest: 7 }); // of the same job, delivered twice
  const again = await agent.job();
  assert.deepEqual([again.deploymentId, again.generation], [job.deploymentId, 8]);
  await agent.live(again);
  const next = await agent.job();
  assert.deepEqual([next.deploymentId, next.generation], [second, 9]);
  await agent.report({ ...stale, deploymentId: second, generation: 9 });
  assert.equal(await statusOf(on, second), 'failed', 'a host that does not tell its newest');
  const third = await deploy(on);
  const begun = { ...stale, deploymentId: third, generation: 10 };
  assert.equal((await agent.job()).generation, 10);
  await agent.report({ kind: 'deployment', deploymentId: third, generation: 10, status: 'running', at: AT });
  await agent.report({ ...begun, newest: 20 });
  assert.equal(await statusOf(on, third), 'failed', 'what was begun is not run a second time');
  const fourth = await deploy(on);
  await agent.report({ ...begun, deploymentId: fourth, generation: 11, newest: Number.MAX_SAFE_INTEGER });
  assert.equal(await statusOf(on, fourth), 'failed', 'a number that nobody could count on from');
  assert.equal((await findDeployment(on.deps.db, await deploy(on)))?.generation, 12);
});

test('a later live one supersedes the one before', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const first = await deploy(on);
  await agent.live(await agent.job());
  const second = await deploy(on);
  await agent.live(await agent.job());
  assert.equal(await statusOf(on, first), 'superseded');
  assert.equal(await statusOf(on, second), 'live');
  await agent.report({ kind: 'deployment', deploymentId: second, generation: 2, status: 'failed', at: AT });
  assert.equal(await statusOf(on, second), 'live', 'an end is final');
});

test('a host that says of itself that it is lost ends its deployment all the same', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  const job = await agent.job();
  const said = { kind: 'deployment', deploymentId: id, generation: job.generation, at: AT } as const;
  const error = { code: 'ORK_HOST_LOST', message: 'away', evidence: ['ORK_HOST_LOST'] } as const;
  await agent.report({ ...said, status: 'failed', error: { ...error, evidence: [...error.evidence] } });
  await agent.report({ ...said, status: 'running' });
  const ended = await findDeployment(on.deps.db, id);
  assert.equal(ended?.status, 'failed');
  assert.match(ended?.error ?? '', /"code":"ORK_CODE_UNKNOWN"/);
});

test('the log of a deployment ends at its cap with a mark', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  await agent.report(log(id, 0, 'start'));
  await on.deps.db
    .updateTable('deployment')
    .set({ log_bytes: LOG_CAP_BYTES - 256 })
    .where('id', '=', id)
    .execute();
  await agent.report(log(id, 5, 'abc'));
  await agent.report(log(id, 8, 'more'));
  await agent.report(log(id, 12, 'and more'));
  assert.equal(await logText(on, id), 'startabc\n[orkestr: the log was cut here, it reached 16 MiB]\n');
  assert.deepEqual(await listLoggedSteps(on.deps.db, id), ['build']);
});

test('a flood of reports is stored whole and in order while the hub reads no faster than it writes', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  const count = 1500;
  for (let n = 0; n < count; n += 1) {
    agent.say({ type: 'report', sequence: n + 1, report: log(id, n * 4, String(n).padStart(4, '0')) });
  }
  await agent.stored(count);
  assert.equal(await logText(on, id), Array.from({ length: count }, (_, n) => String(n).padStart(4, '0')).join(''));
});

test('leases are renewed for what runs on that host and for nothing else, and the status of the host is kept', async (t) => {
  const on = await hub(t);
  const agent = await on.connect();
  const id = await deploy(on);
  await agent.job();
  agent.say({ type: 'renew', deploymentIds: [randomUUIDv7(), id] });
  assert.equal((await agent.next('lease')).deploymentId, id);
  agent.say({
    type: 'status',
    status: {
      agentVersion: '1',
      engine: { reachable: true, version: '20', liveRestore: true },
      proxy: { reachable: true },
      cgroupVersion: '2',
      memory: { totalBytes: 1, availableBytes: 1 },
      disk: { totalBytes: 1, availableBytes: 1 },
      outbox: 0,
    },
  });
  await until(async () => {
    const host = await on.deps.db.selectFrom('host').selectAll().where('id', '=', on.hostId).executeTakeFirst();
    return host?.status?.includes('"engine"') ?? false;
  });
});
