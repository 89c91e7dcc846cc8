import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { AGENT_LINK_PATH } from '../../protocol/agent-link.ts';
import { until } from '../../test/harness/until.ts';
import { hub } from '../test-hub.ts';
import { ScriptedAgent } from './test-agent.ts';

test('idle connections do not shut agents out: the oldest is closed, first one from the same address', async (t) => {
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

test("all addresses of a client's IPv6 network count as one client", async (t) => {
  const on = await hub(t);
  const path = `${on.url.replace('http', 'ws')}${AGENT_LINK_PATH}`;
  const closed: string[] = [];
  const sit = async (address: string): Promise<void> => {
    // The header as set by the proxy on this machine.
    const socket = new WebSocket(path, { headers: { 'x-forwarded-for': `192.0.2.1, ${address}` } });
    socket.on('error', () => undefined).on('close', () => closed.push(address));
    await once(socket, 'open');
  };
  await sit('2001:db8:1:1::1');
  for (let n = 1; n <= 33; n += 1) await sit(`2001:db8:1:2::${n}`);
  await until(() => closed.length === 1);
  assert.deepEqual(closed, ['2001:db8:1:2::1'], 'its own oldest one goes, not that of a neighbour');
});

test('behind a trusted load balancer each forwarded client address counts as its own client', async (t) => {
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

test('a connection that never sends a hello is closed', async (t) => {
  const on = await hub(t, { timing: { heartbeatMs: 1000, handshakeMs: 20 } });
  const silent = new ScriptedAgent(on.url, on.deps.hubKey.publicKey);
  assert.equal(await silent.closed, 1006);
});
