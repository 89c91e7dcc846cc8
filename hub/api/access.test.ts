import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { readSettings } from '../store/environments.ts';
import { startTestApi } from './test-api.ts';

const PASSWORD = 'correct horse battery';

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  await api.call(token, 'POST', '/projects', { slug: 'shop' });
  const path = '/projects/shop/environments/production';
  const patch = (users: unknown) => api.call(token, 'PATCH', `${path}/access`, { users });
  const stored = async () => {
    const row = await api.deps.db.selectFrom('environment').selectAll().executeTakeFirstOrThrow();
    return readSettings(row).edge.basicAuth;
  };
  return { api, token, path, patch, stored };
}

test('concurrent additions and removals of users all take effect', async (t) => {
  const { api, token, path, patch, stored } = await start(t);
  await patch({ first: PASSWORD, second: PASSWORD });
  const limits = { limits: { memoryMiB: 256 } };
  const answers = await Promise.all([
    patch({ ada: PASSWORD }),
    patch({ first: null }),
    patch({ grace: PASSWORD }),
    api.call(token, 'PATCH', path, { settings: limits }),
    patch({ second: null }),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  );
  const users = (await stored()).map(({ user }) => user);
  assert.deepEqual(users.toSorted(), ['ada', 'grace']);
  assert.equal((await api.call(token, 'GET', path)).json.settings.limits.memoryMiB, 256);
});

test('a password changes for its user only, is stored hashed and appears in no response', async (t) => {
  const { patch, stored } = await start(t);
  await patch({ ada: PASSWORD, grace: PASSWORD });
  const [ada, grace] = await stored();
  const answer = await patch({ ada: 'another password' });
  assert.deepEqual(answer.json.settings.edge.basicAuth, [{ user: 'grace' }, { user: 'ada' }]);
  const [kept, changed] = await stored();
  assert.deepEqual(kept, grace);
  assert.match(changed?.password ?? '', /^scrypt:/);
  assert.notEqual(changed?.password, ada?.password);
});

test('removing an unknown user is refused, and a change that is not valid changes nothing', async (t) => {
  const { patch, stored } = await start(t);
  await patch({ ada: PASSWORD });
  const before = await stored();
  assert.equal((await patch({ ada: null, nobody: null })).json.code, 'ORK_NOT_FOUND');
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`user-${n}`, PASSWORD]));
  const crowd = Object.fromEntries(Array.from({ length: 41 }, (_, n) => [`user-${n}`, null]));
  for (const users of [many, crowd, { 'a:b': PASSWORD }, { ada: 'short' }]) {
    assert.equal((await patch(users)).json.code, 'ORK_INVALID');
  }
  assert.deepEqual(await stored(), before);
});
