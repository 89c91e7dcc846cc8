import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startTestApi } from './api/test-api.ts';
import { makeAdminToken, setUp } from './setup.ts';

test('the first account gets a team on the plan Pro and a token with all scopes', async (t) => {
  const api = await startTestApi(t);
  const { db, clock } = api.deps;
  const account = await setUp(db, clock, { email: 'Root@localhost', team: 'Größe & Söhne' });
  assert.equal(account.teamSlug, 'grosse-sohne');
  const me = (await api.call(account.token, 'GET', '/me')).json;
  assert.deepEqual(me.user, { id: account.userId, email: 'root@localhost', name: 'Root' });
  assert.equal(me.team.plan, 'pro');
  assert.deepEqual(me.scopes, ['read', 'deploy', 'write', 'admin', 'git']);
});

test('a hub can be set up only once', async (t) => {
  const { deps } = await startTestApi(t);
  await setUp(deps.db, deps.clock, { email: 'a@b', team: 'A' });
  await assert.rejects(setUp(deps.db, deps.clock, { email: 'c@d', team: 'B' }), { code: 'ORK_CONFLICT' });
  assert.equal((await deps.db.selectFrom('user').selectAll().execute()).length, 1);
});

test('an invalid e-mail address or team name is refused with its field', async (t) => {
  const { deps } = await startTestApi(t);
  await assert.rejects(setUp(deps.db, deps.clock, { email: 'nobody', team: ' ' }), {
    code: 'ORK_INVALID',
    message: /email: .*team: /,
  });
});

test('a team name that yields no slug gets a default one', async (t) => {
  const { deps } = await startTestApi(t);
  assert.equal((await setUp(deps.db, deps.clock, { email: 'a@b', team: '東京 42' })).teamSlug, 'team');
});

test('a lost admin token can be replaced by a new one, and existing tokens stay valid', async (t) => {
  const api = await startTestApi(t);
  const { db, clock } = api.deps;
  await assert.rejects(makeAdminToken(db, clock), { code: 'ORK_NOT_FOUND', message: /orkestr-hub setup/ });
  const account = await setUp(db, clock, { email: 'a@b', team: 'A' });
  await setTimeout(2); // ids from the same millisecond are not ordered
  await api.account('other');
  const me = (await api.call(await makeAdminToken(db, clock), 'GET', '/me')).json;
  assert.equal(me.user.id, account.userId);
  assert.equal(me.team.id, account.teamId);
  assert.deepEqual(me.scopes, ['read', 'deploy', 'write', 'admin', 'git']);
  assert.equal((await api.call(account.token, 'GET', '/me')).status, 200);
});
