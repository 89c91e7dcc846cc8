import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openVariables } from '../store/variables.ts';
import { startTestApi } from './test-api.ts';

const PATH = '/projects/shop/environments/production/variables';

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  const project = (await api.call(token, 'POST', '/projects', { slug: 'shop' })).json;
  const patch = (variables: unknown) => api.call(token, 'PATCH', PATH, { variables });
  const { db, sealer } = api.deps;
  const environmentId: string = project.environments[0].id;
  const row = () => db.selectFrom('environment').selectAll().where('id', '=', environmentId).executeTakeFirstOrThrow();
  return {
    api,
    token,
    patch,
    environmentId,
    open: () => openVariables(db, sealer, environmentId, 'app'),
    version: async () => (await row()).env_version,
  };
}

test('variables are set, kept and removed by name; each change increments the version', async (t) => {
  const { api, token, patch, open, version } = await start(t);
  await patch({ B: 'two', A: 'one' });
  api.pass(1000);
  const answer = await patch({ A: 'uno', C: '', B: null });
  assert.deepEqual(answer.json, [
    { kind: 'app', name: 'A', updatedAt: '2030-01-01T00:00:01.000Z' },
    { kind: 'app', name: 'C', updatedAt: '2030-01-01T00:00:01.000Z' },
  ]);
  assert.deepEqual((await api.call(token, 'GET', PATH)).json, answer.json);
  assert.deepEqual(await open(), { A: 'uno', C: '' });
  assert.equal(await version(), 2);
});

test('a value is sealed at rest, bound to its name, and appears in no response', async (t) => {
  const { api, token, patch, open } = await start(t);
  const made = await patch({ SECRET: 'correct horse', OTHER: 'x' });
  const { db } = api.deps;
  const rows = await db.selectFrom('variable').selectAll().execute();
  const seen = JSON.stringify(rows) + made.text + (await api.call(token, 'GET', PATH)).text;
  assert.ok(!seen.includes('correct horse'));
  const [sealed] = rows.filter(({ name }) => name === 'SECRET');
  await db
    .updateTable('variable')
    .set({ value: sealed?.value ?? '' })
    .where('name', '=', 'OTHER')
    .execute();
  await assert.rejects(open(), { code: 'ORK_CONFIG' });
});

test('a build secret and a variable may share a name, and a sealed value opens only as its own kind', async (t) => {
  const { api, token, patch, open, environmentId, version } = await start(t);
  const { db, sealer } = api.deps;
  await patch({ TOKEN: 'for the app' });
  const answer = await api.call(token, 'PATCH', PATH, { kind: 'build', variables: { TOKEN: 'for the build' } });
  assert.deepEqual(
    answer.json.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`),
    ['app TOKEN', 'build TOKEN'],
  );
  assert.deepEqual(await open(), { TOKEN: 'for the app' });
  assert.deepEqual(await openVariables(db, sealer, environmentId, 'build'), { TOKEN: 'for the build' });
  assert.equal(await version(), 2);
  await db.updateTable('variable').set({ kind: 'app', name: 'MOVED' }).where('kind', '=', 'build').execute();
  await assert.rejects(open(), { code: 'ORK_CONFIG' });
  await patch({ TOKEN: null, MOVED: null });
  assert.deepEqual((await api.call(token, 'GET', PATH)).json, []);
  assert.equal((await api.call(token, 'PATCH', PATH, { kind: 'x', variables: {} })).json.code, 'ORK_INVALID');
});

test('removing a variable that does not exist, or is of the other kind, refuses the whole change', async (t) => {
  const { api, token, patch, open, version } = await start(t);
  await patch({ A: 'one' });
  const { status, json } = await patch({ A: 'two', AA: null });
  assert.deepEqual([status, json.code, json.detail], [404, 'ORK_NOT_FOUND', 'There is no variable "AA".']);
  const build = await api.call(token, 'PATCH', PATH, { kind: 'build', variables: { A: null } });
  assert.equal(build.json.detail, 'There is no build secret "A".');
  assert.deepEqual([await open(), await version()], [{ A: 'one' }, 1]);
});

test('hostile names and values are refused and nothing is stored', async (t) => {
  const { patch, open, version } = await start(t);
  for (const name of ['', '1A', 'A-B', 'A=B', 'A B', 'Ä', 'A\n', '$(id)', 'x'.repeat(129)]) {
    const { json } = await patch({ GOOD: '1', [name]: 'x' });
    assert.equal(json.code, 'ORK_INVALID', name);
    assert.match(json.detail, /letters, digits and _, not starting with a digit/, name);
  }
  for (const value of ['a\0b', 'x'.repeat(32_769), 7, {}]) {
    assert.equal((await patch({ GOOD: '1', A: value })).json.code, 'ORK_INVALID');
  }
  assert.deepEqual(await open(), {});
  assert.equal(await version(), 0);
});

test('a change that exceeds the size of a job is refused completely', async (t) => {
  const { patch, open, version } = await start(t);
  const many = Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`V${i}`, 'x']));
  const large = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`V${i}`, 'x'.repeat(32_000)]));
  for (const variables of [many, large]) {
    const answer = await patch(variables);
    assert.equal(answer.status, 413);
    assert.equal(answer.json.code, 'ORK_TOO_LARGE');
  }
  assert.deepEqual(await open(), {});
  assert.equal(await version(), 0);
});
