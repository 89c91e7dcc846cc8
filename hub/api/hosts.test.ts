import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordHostStatus } from '../store/hosts.ts';
import { startTestApi } from './test-api.ts';

const status = {
  agentVersion: '1',
  engine: { reachable: true, version: '20.10', liveRestore: true },
  proxy: { reachable: true },
  cgroupVersion: '1' as const,
  memory: { totalBytes: 2, availableBytes: 1 },
  disk: { totalBytes: 2, availableBytes: 1 },
  outbox: 0,
};

test('a host shows whether it is enrolled and online, and its last reported status', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const { id } = (await api.call(token, 'POST', '/hosts', { name: 'vps' })).json;
  const list = async () => (await api.call(token, 'GET', '/hosts')).json;
  const none = {
    enrolled: false,
    online: false,
    builds: true,
    lastSeenAt: null,
    agentVersion: null,
    upgradeTo: null,
    refusal: null,
    status: null,
    downApps: [],
  };
  assert.deepEqual(await list(), [{ id, name: 'vps', ...none }]);
  api.online.add(id);
  await recordHostStatus(api.deps.db, id, status, '2030-01-01T00:00:05.000Z');
  assert.deepEqual(await list(), [
    { id, name: 'vps', ...none, online: true, lastSeenAt: '2030-01-01T00:00:05.000Z', agentVersion: '1', status },
  ]);
});

test('the name of a host is unique within its team', async (t) => {
  const api = await startTestApi(t);
  const [alpha, beta] = [await api.account('alpha'), await api.account('beta')];
  assert.equal((await api.call(alpha.token, 'POST', '/hosts', { name: 'vps' })).status, 201);
  assert.equal((await api.call(alpha.token, 'POST', '/hosts', { name: 'vps' })).json.code, 'ORK_CONFLICT');
  assert.equal((await api.call(beta.token, 'POST', '/hosts', { name: 'vps' })).status, 201);
});

test('a host can be removed once no environment is on it, and its session is closed', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const { id } = (await api.call(token, 'POST', '/hosts', { name: 'vps' })).json;
  await api.call(token, 'POST', '/projects', { slug: 'shop' });
  const refused = await api.call(token, 'DELETE', `/hosts/${id}`);
  assert.equal(refused.json.code, 'ORK_CONFLICT');
  assert.ok(!api.asked.includes(`disconnect ${id}`));
  await api.call(token, 'DELETE', '/projects/shop');
  assert.equal((await api.call(token, 'DELETE', `/hosts/${id}`)).status, 204);
  assert.equal(api.asked.at(-1), `disconnect ${id}`);
});

test('a host can be configured not to build', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const { id } = (await api.call(token, 'POST', '/hosts', { name: 'vps' })).json;
  assert.equal((await api.call(token, 'PATCH', `/hosts/${id}`, { builds: false })).json.builds, false);
  assert.equal((await api.call(token, 'GET', '/hosts')).json[0].builds, false);
  assert.equal((await api.call(token, 'PATCH', `/hosts/${id}`, { builds: 'no' })).status, 400);
});
