import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openRegistries } from '../store/registries.ts';
import { startTestApi } from './test-api.ts';

const PATH = '/projects/shop/registries';

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  const project = (await api.call(token, 'POST', '/projects', { slug: 'shop' })).json;
  const { db, sealer } = api.deps;
  return {
    api,
    token,
    put: (host: string, body: unknown) => api.call(token, 'PUT', `${PATH}/${encodeURIComponent(host)}`, body),
    list: async () => (await api.call(token, 'GET', PATH)).json,
    open: () => openRegistries(db, sealer, project.id),
  };
}

test('a login is set, replaced and removed per registry, and the change applies to the next job', async (t) => {
  const { api, token, put, list, open } = await start(t);
  await put('registry.example.com:5000', { username: 'ci', password: 'one' });
  await put('ghcr.io', { username: 'ada', password: 'two' });
  api.pass(1000);
  const answer = await put('ghcr.io', { username: 'grace', password: 'three' });
  assert.deepEqual(answer.json, [
    { host: 'ghcr.io', username: 'grace', updatedAt: '2030-01-01T00:00:01.000Z' },
    { host: 'registry.example.com:5000', username: 'ci', updatedAt: '2030-01-01T00:00:00.000Z' },
  ]);
  assert.deepEqual(await open(), [
    { host: 'ghcr.io', username: 'grace', password: 'three' },
    { host: 'registry.example.com:5000', username: 'ci', password: 'one' },
  ]);
  const remove = () => api.call(token, 'DELETE', `${PATH}/ghcr.io`);
  assert.equal((await remove()).status, 204);
  assert.equal((await remove()).json.code, 'ORK_NOT_FOUND');
  assert.equal((await list()).length, 1);
});

test('a password is sealed at rest, bound to its registry, and appears in no response', async (t) => {
  const { api, put, list, open } = await start(t);
  const made = await put('ghcr.io', { username: 'ada', password: 'correct horse' });
  await put('other.example', { username: 'ada', password: 'x' });
  const { db } = api.deps;
  const rows = await db.selectFrom('registry').selectAll().execute();
  assert.ok(!(JSON.stringify([rows, await list()]) + made.text).includes('correct horse'));
  const [sealed] = rows.filter(({ host }) => host === 'ghcr.io');
  await db
    .updateTable('registry')
    .set({ password: sealed?.password ?? '' })
    .where('host', '=', 'other.example')
    .execute();
  await assert.rejects(open(), { code: 'ORK_CONFIG' });
});

test('an invalid registry and a login without a name or password are refused', async (t) => {
  const { put, list } = await start(t);
  for (const host of ['https://ghcr.io', 'ghcr.io/team', 'GHCR.io', '-x', 'a b', 'a:port', 'a\n']) {
    assert.equal((await put(host, { username: 'a', password: 'b' })).json.code, 'ORK_INVALID', host);
  }
  for (const body of [{}, { username: 'a' }, { username: '', password: 'b' }, { username: 'a', password: '' }]) {
    assert.equal((await put('ghcr.io', body)).json.code, 'ORK_INVALID');
  }
  assert.deepEqual(await list(), []);
});

test('more logins than fit in a job are refused', async (t) => {
  const { put, list } = await start(t);
  for (let index = 0; index < 20; index += 1) await put(`r${index}.example`, { username: 'a', password: 'b' });
  assert.equal((await put('one-more.example', { username: 'a', password: 'b' })).status, 413);
  assert.equal((await put('r7.example', { username: 'b', password: 'b' })).status, 200, 'replacing one is none more');
  assert.equal((await list()).length, 20);
});
