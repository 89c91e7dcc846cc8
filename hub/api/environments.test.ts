import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestApi } from './test-api.ts';

const PATH = '/projects/shop/environments';

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  const project = (await api.call(token, 'POST', '/projects', { slug: 'shop' })).json;
  const call = (method: string, path: string, body?: unknown) => api.call(token, method, PATH + path, body);
  return { api, token, project, call };
}

test('a further environment has its branch and a domain with its name', async (t) => {
  const { api, token, call } = await start(t);
  const made = await call('POST', '', { slug: 'staging', branch: 'develop' });
  assert.equal(made.status, 201);
  assert.equal(made.json.branch, 'develop');
  assert.deepEqual(made.json.urls, ['http://staging-shop.localhost:8080']);
  assert.deepEqual((await call('GET', '/staging')).json, made.json);
  assert.deepEqual((await call('GET', `/${made.json.id}`)).json, made.json);
  assert.equal((await call('POST', '', { slug: 'staging' })).json.code, 'ORK_CONFLICT');
  assert.equal((await api.call(token, 'GET', '/projects/shop')).json.environments.length, 2);
});

test('a change merges and keeps the rest', async (t) => {
  const { project, call } = await start(t);
  const before = project.environments[0];
  const after = await call('PATCH', '/production', { branch: 'release', settings: { limits: { memoryMiB: 64 } } });
  assert.equal(after.status, 200);
  const limits = { ...before.settings.limits, memoryMiB: 64 };
  assert.deepEqual(after.json, { ...before, branch: 'release', settings: { ...before.settings, limits } });
  assert.deepEqual((await call('GET', '/production')).json, after.json);
});

test('a change that is not valid changes nothing', async (t) => {
  const { project, call } = await start(t);
  const refused = await call('PATCH', '/production', { branch: 'other', settings: { limits: { memoryMiB: 1 } } });
  assert.equal(refused.json.code, 'ORK_INVALID');
  assert.match(refused.json.evidence[0], /^settings\.limits\.memoryMiB: /);
  assert.equal((await call('PATCH', '/production', { branch: '-x' })).json.code, 'ORK_INVALID');
  assert.deepEqual((await call('GET', '/production')).json, project.environments[0]);
});

test('a domain and path belong to one environment; another path of it is free', async (t) => {
  const { project, call } = await start(t);
  await call('POST', '', { slug: 'staging' });
  const take = (domains: unknown) => call('PATCH', '/staging', { settings: { domains } });
  const taken = await take([{ host: 'new.example.com' }, { host: 'shop.localhost' }]);
  assert.equal(taken.status, 409);
  assert.equal(taken.json.code, 'ORK_ROUTE_TAKEN');
  assert.match(taken.json.detail, /shop\.localhost\//);
  assert.deepEqual((await call('GET', '/staging')).json.urls, ['http://staging-shop.localhost:8080']);
  assert.equal((await take([{ host: 'shop.localhost', pathPrefix: '/new' }])).status, 200);
  // What was let go of is free, and asking for one's own again is no conflict.
  const own = {
    settings: { domains: [...project.environments[0].settings.domains, { host: 'staging-shop.localhost' }] },
  };
  assert.equal((await call('PATCH', '/production', own)).status, 200);
  assert.equal((await call('PATCH', '/production', own)).status, 200);
});

test('of two that ask for the same domain at once one gets it', async (t) => {
  const { call } = await start(t);
  const slugs = ['a', 'b', 'c', 'd'];
  for (const slug of slugs) await call('POST', '', { slug });
  const settings = { domains: [{ host: 'one.example.com' }] };
  const answers = await Promise.all(slugs.map((slug) => call('PATCH', `/${slug}`, { settings })));
  assert.deepEqual(answers.map(({ status }) => String(status)).sort(), ['200', '409', '409', '409']);
});

test('the domain of the hub is nobody’s', async (t) => {
  const { call } = await start(t);
  const answer = await call('PATCH', '/production', { settings: { domains: [{ host: '127.0.0.1' }] } });
  assert.equal(answer.json.code, 'ORK_ROUTE_TAKEN');
});

test('without domains of its own it goes back to the default one', async (t) => {
  const { call } = await start(t);
  await call('PATCH', '/production', { settings: { domains: [{ host: 'shop.example.com' }] } });
  const back = await call('PATCH', '/production', { settings: { domains: null } });
  assert.deepEqual(back.json.urls, ['http://shop.localhost:8080']);
});

test('the live deployment is named', async (t) => {
  const { api, project, call } = await start(t);
  const [{ id }] = project.environments;
  const row = {
    environment_id: id,
    kind: 'deploy' as const,
    trigger: 'push' as const,
    commit: 'a'.repeat(40),
    branch: 'main',
    env_version: 0,
    variables: 'current' as const,
    cancel_requested: 0,
    created_at: '2030-01-01T00:00:00.000Z',
  };
  await api.deps.db
    .insertInto('deployment')
    .values([
      { ...row, id: '1', generation: 1, status: 'superseded' },
      { ...row, id: '01a206af-1c15-76ac-a790-087bc48c4509', generation: 2, status: 'live' },
      { ...row, id: '3', generation: 3, status: 'failed' },
    ])
    .execute();
  assert.equal((await call('GET', '/production')).json.liveDeploymentId, '01a206af-1c15-76ac-a790-087bc48c4509');
});

test('deleting takes it off its host first; when that fails it stays', async (t) => {
  const { api, project, call } = await start(t);
  const [{ id }] = project.environments;
  api.failing.add(`removeEnvironment ${id}`);
  assert.equal((await call('DELETE', '/production')).status, 500);
  assert.equal((await call('GET', '/production')).status, 200);
  api.failing.clear();
  assert.equal((await call('DELETE', '/production')).status, 204);
  assert.equal(api.asked.at(-1), `removeEnvironment ${id}`);
  assert.equal((await call('GET', '/production')).status, 404);
});
