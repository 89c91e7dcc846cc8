import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from './test-api.ts';

test('a token is shown once and works with its scopes', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const made = await api.call(token, 'POST', '/tokens', { name: 'ci', scopes: ['read', 'deploy', 'read'] });
  assert.equal(made.status, 201);
  assert.match(made.json.token, /^ork_[\w-]{43}$/);
  assert.deepEqual(made.json.scopes, ['read', 'deploy']);
  assert.deepEqual((await api.call(made.json.token, 'GET', '/me')).json.scopes, ['read', 'deploy']);
  const list = await api.call(token, 'GET', '/tokens');
  const tokens = new Map(list.json.map((one: { name: string; lastUsedAt: string }) => [one.name, one.lastUsedAt]));
  assert.deepEqual(new Set(tokens.keys()), new Set(['ci', 'setup'])); // ids from the same millisecond are not ordered
  assert.ok(!list.text.includes(made.json.token) && !list.text.includes('hash'));
  assert.equal(tokens.get('ci'), '2030-01-01T00:00:00.000Z');
});

test('a token cannot create a token with scopes that it does not have', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const admin = (await api.call(token, 'POST', '/tokens', { name: 'a', scopes: ['admin'] })).json.token;
  const answer = await api.call(admin, 'POST', '/tokens', { name: 'b', scopes: ['admin', 'git'] });
  assert.equal(answer.status, 403);
  assert.match(answer.json.detail, /"git"/);
  assert.equal((await api.call(admin, 'POST', '/tokens', { name: 'c', scopes: ['admin'] })).status, 201);
});

test('a token stops working when it expires or is revoked', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const make = async (expiresInDays?: number) =>
    (await api.call(token, 'POST', '/tokens', { name: 'x', scopes: ['read'], expiresInDays })).json;
  const [short, revoked] = [await make(1), await make()];
  assert.equal(short.expiresAt, '2030-01-02T00:00:00.000Z');
  assert.equal((await api.call(token, 'DELETE', `/tokens/${revoked.id}`)).status, 204);
  assert.equal((await api.call(token, 'DELETE', `/tokens/${revoked.id}`)).status, 404);
  assert.equal((await api.call(revoked.token, 'GET', '/me')).status, 401);
  assert.equal((await api.call(short.token, 'GET', '/me')).status, 200);
  api.pass(24 * 3600 * 1000);
  assert.equal((await api.call(short.token, 'GET', '/me')).status, 401);
});
