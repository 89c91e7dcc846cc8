import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Settings } from '../../protocol/job.ts';
import { insertDeployment } from '../store/deployments.ts';
import { readSettings } from '../store/environments.ts';
import { startTestApi } from './test-api.ts';
import type { Answer, TestApi } from './test-api.ts';

const PATH = '/projects/shop/environments';

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  const project = (await api.call(token, 'POST', '/projects', { slug: 'shop' })).json;
  const call = (method: string, path: string, body?: unknown) => api.call(token, method, PATH + path, body);
  return { api, token, project, call };
}

test('a further environment gets its branch and a default domain with its name', async (t) => {
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

test('a change is merged and keeps all other settings', async (t) => {
  const { project, call } = await start(t);
  const before = project.environments[0];
  const after = await call('PATCH', '/production', { branch: 'release', settings: { limits: { memoryMiB: 64 } } });
  assert.equal(after.status, 200);
  const limits = { ...before.settings.limits, memoryMiB: 64 };
  assert.deepEqual(after.json, { ...before, branch: 'release', settings: { ...before.settings, limits } });
  assert.deepEqual((await call('GET', '/production')).json, after.json);
});

test('an invalid change changes nothing', async (t) => {
  const { project, call } = await start(t);
  const refused = await call('PATCH', '/production', { branch: 'other', settings: { limits: { memoryMiB: 1 } } });
  assert.equal(refused.json.code, 'ORK_INVALID');
  assert.match(refused.json.evidence[0], /^settings\.limits\.memoryMiB: /);
  assert.equal((await call('PATCH', '/production', { branch: '-x' })).json.code, 'ORK_INVALID');
  assert.deepEqual((await call('GET', '/production')).json, project.environments[0]);
});

test('unknown fields are refused both when an environment is created and when it is changed', async (t) => {
  const { api, token, call } = await start(t);
  const refused = async (answer: Promise<Answer>): Promise<string[]> => {
    const { json } = await answer;
    assert.equal(json.code, 'ORK_INVALID');
    return json.evidence;
  };
  const none = 'there is no such field';
  const environment = { slug: 'preview', settings: { edge: { alowFrom: ['203.0.113.0/24'] }, prot: 80 } };
  assert.deepEqual(await refused(call('POST', '', environment)), [
    `body.settings.edge.alowFrom: ${none}`,
    `body.settings.prot: ${none}`,
  ]);
  const at = 'body.environment.settings';
  assert.deepEqual(await refused(api.call(token, 'POST', '/projects', { slug: 'blog', environment })), [
    `${at}.edge.alowFrom: ${none}`,
    `${at}.prot: ${none}`,
  ]);
  const domains = [{ host: 'a.example.com' }, { host: 'b.example.com', stripPrefx: true }];
  assert.deepEqual(await refused(call('POST', '', { slug: 'preview', settings: { domains } })), [
    `body.settings.domains.1.stripPrefx: ${none}`,
  ]);
  assert.deepEqual(await refused(call('PATCH', '/production', { settings: { domains } })), [
    `settings.domains.1.stripPrefx: ${none}`,
  ]);
  const basicAuth = [{ user: 'ada', password: 'correct horse', pasword: 'battery staple' }];
  assert.deepEqual(await refused(call('PATCH', '/production', { settings: { edge: { basicAuth } } })), [
    `settings.edge.basicAuth.0.pasword: ${none}`,
  ]);
  assert.deepEqual(await refused(call('PATCH', '/production', { setings: {} })), [`body.setings: ${none}`]);
  assert.equal((await api.call(token, 'GET', '/projects/shop')).json.environments.length, 1);
});

test('build limits above those of the plan are refused with field, limit and plan', async (t) => {
  const { api, token, call } = await start(t);
  const within = { settings: { build: { memoryMiB: 8192 } } };
  assert.equal((await call('PATCH', '/production', within)).status, 200);
  const over = { settings: { build: { memoryMiB: 8193, timeoutSeconds: 14_400 } } };
  for (const answer of [
    await call('PATCH', '/production', over),
    await call('POST', '', { slug: 'staging', ...over }),
    await api.call(token, 'POST', '/projects', { slug: 'blog', environment: { slug: 'production', ...over } }),
  ]) {
    assert.equal(answer.json.code, 'ORK_INVALID');
    assert.match(answer.json.detail, /settings\.build\.memoryMiB: 8193 exceeds the limit of the plan Pro, 8192/);
    assert.match(answer.json.detail, /timeoutSeconds: 14400 exceeds the limit of the plan Pro, 3600/);
  }
});

test('a domain and path belong to one environment; another path of the domain is free', async (t) => {
  const { project, call } = await start(t);
  await call('POST', '', { slug: 'staging' });
  const take = (domains: unknown) => call('PATCH', '/staging', { settings: { domains } });
  const taken = await take([{ host: 'new.example.com' }, { host: 'shop.localhost' }]);
  assert.equal(taken.status, 409);
  assert.equal(taken.json.code, 'ORK_ROUTE_TAKEN');
  assert.equal(
    taken.json.detail,
    'The domain shop.localhost/ belongs to shop/production: remove the domain there first, or give that environment another one.',
  );
  assert.deepEqual((await call('GET', '/staging')).json.urls, ['http://staging-shop.localhost:8080']);
  assert.equal((await take([{ host: 'shop.localhost', pathPrefix: '/new' }])).status, 200);
  // Removed domains are free again, and requesting one's own again is no conflict.
  const own = {
    settings: { domains: [...project.environments[0].settings.domains, { host: 'staging-shop.localhost' }] },
  };
  assert.equal((await call('PATCH', '/production', own)).status, 200);
  assert.equal((await call('PATCH', '/production', own)).status, 200);
});

test('the error for a domain of another team does not name that team', async (t) => {
  const { api } = await start(t);
  const { token } = await api.account('stranger');
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  const environment = { slug: 'production', settings: { domains: [{ host: 'shop.localhost' }] } };
  const answer = await api.call(token, 'POST', '/projects', { slug: 'mine', environment });
  assert.equal(answer.json.code, 'ORK_ROUTE_TAKEN');
  assert.equal(answer.json.detail, 'The domain shop.localhost/ belongs to an environment of another team.');
});

test('only one of several concurrent requests for the same domain succeeds', async (t) => {
  const { call } = await start(t);
  const slugs = ['a', 'b', 'c', 'd'];
  for (const slug of slugs) await call('POST', '', { slug });
  const settings = { domains: [{ host: 'one.example.com' }] };
  const answers = await Promise.all(slugs.map((slug) => call('PATCH', `/${slug}`, { settings })));
  assert.deepEqual(answers.map(({ status }) => String(status)).sort(), ['200', '409', '409', '409']);
});

test('a canonical host that was stored before the check does not stand in the way of other changes', async (t) => {
  const { api, project, call } = await start(t);
  const [{ id }] = project.environments;
  const domains = [{ host: 'example.com' }, { host: 'www.example.com' }];
  const settings = { domains, edge: { canonicalHost: 'www.example.com' } };
  assert.equal((await call('PATCH', '/production', { settings })).status, 200);
  const { settings: text } = await api.deps.db
    .selectFrom('environment')
    .select('settings')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const before = text.replace('"canonicalHost":"www.example.com"', '"canonicalHost":"elsewhere.example.com"');
  assert.notEqual(before, text);
  await api.deps.db.updateTable('environment').set({ settings: before }).where('id', '=', id).execute();
  assert.equal((await call('PATCH', '/production', { branch: 'develop' })).status, 200);
  assert.equal((await call('PATCH', '/production', { settings: { limits: { memoryMiB: 256 } } })).status, 200);
  const fewer = { settings: { domains: [{ host: 'example.com' }] } };
  assert.equal((await call('PATCH', '/production', fewer)).json.code, 'ORK_INVALID');
});

test('a canonical host that no domain covers is refused at creation, on its own, and when the domains change', async (t) => {
  const { call } = await start(t);
  const edge = { canonicalHost: 'www.example.com' };
  const domains = [{ host: 'example.com' }, { host: 'www.example.com' }];
  for (const answer of [
    await call('POST', '', { slug: 'staging', settings: { edge } }),
    await call('PATCH', '/production', { settings: { edge } }),
  ]) {
    assert.deepEqual([answer.status, answer.json.code], [400, 'ORK_INVALID']);
    assert.match(
      answer.json.detail,
      /^edge\.canonicalHost is www\.example\.com, which is not a domain .*\.localhost\.$/,
    );
  }
  assert.equal((await call('PATCH', '/production', { settings: { domains, edge } })).status, 200);
  const moved = { domains: [{ host: 'new.example.com' }] };
  assert.equal((await call('PATCH', '/production', { settings: moved })).json.code, 'ORK_INVALID');
  const both = { ...moved, edge: { canonicalHost: null } };
  assert.equal((await call('PATCH', '/production', { settings: both })).status, 200);
});

test('no environment can take the domain of the hub', async (t) => {
  const { call } = await start(t);
  const answer = await call('PATCH', '/production', { settings: { domains: [{ host: '127.0.0.1' }] } });
  assert.equal(answer.json.code, 'ORK_ROUTE_TAKEN');
});

test('removing all domains keeps the default domain, however often it is repeated', async (t) => {
  const { call } = await start(t);
  for (const domains of [null, [], null]) {
    const { urls } = (await call('PATCH', '/production', { settings: { domains } })).json;
    assert.deepEqual(urls, ['http://shop.localhost:8080']);
  }
});

test('removing its own domains gives an environment the default domain again', async (t) => {
  const { call } = await start(t);
  await call('PATCH', '/production', { settings: { domains: [{ host: 'shop.example.com' }] } });
  const back = await call('PATCH', '/production', { settings: { domains: null } });
  assert.deepEqual(back.json.urls, ['http://shop.localhost:8080']);
});

test('a worker has no domain, neither when it is made nor later, and a web app made of it gets one', async (t) => {
  const { call } = await start(t);
  const worker = { kind: 'running' };
  const made = await call('POST', '', { slug: 'worker', settings: { healthCheck: worker, startCommand: 'sidekiq' } });
  assert.equal(made.status, 201);
  assert.deepEqual([made.json.urls, made.json.settings.domains], [[], []]);
  assert.deepEqual(made.json.settings.healthCheck, { kind: 'running', runSeconds: 10 });
  const changed = await call('PATCH', '/worker', { settings: { healthCheck: { runSeconds: 30 } } });
  assert.deepEqual([changed.json.urls, changed.json.settings.healthCheck.runSeconds], [[], 30]);
  const web = await call('PATCH', '/worker', { settings: { healthCheck: null } });
  assert.deepEqual(web.json.urls, ['http://worker-shop.localhost:8080']);
  assert.equal(web.json.settings.healthCheck.kind, 'auto');
});

test('an app with a domain becomes a worker only if that is given up in the same change', async (t) => {
  const { api, token, call } = await start(t);
  const healthCheck = { kind: 'running' };
  const refused = await call('PATCH', '/production', { settings: { healthCheck } });
  assert.equal(refused.json.code, 'ORK_INVALID');
  assert.match(
    refused.json.evidence[0],
    /^settings\.domains: a worker .* give up shop\.localhost with "domains": \[\]/,
  );
  assert.deepEqual((await call('GET', '/production')).json.urls, ['http://shop.localhost:8080']);
  const changed = await call('PATCH', '/production', { settings: { healthCheck, domains: [] } });
  assert.deepEqual([changed.status, changed.json.urls], [200, []]);
  // Its domain is free.
  const other = { slug: 'other', settings: { domains: [{ host: 'shop.localhost' }] } };
  assert.equal((await call('POST', '', other)).status, 201);
  const domains = [{ host: 'bot.example.com' }];
  const environment = { slug: 'production', settings: { healthCheck, domains } };
  const bot = await api.call(token, 'POST', '/projects', { slug: 'bot', environment });
  assert.equal(bot.json.code, 'ORK_INVALID');
  const overview = await api.call(token, 'GET', '/overview');
  assert.deepEqual(overview.json[0].environments[0].urls, []);
});

test('an environment shows its live deployment', async (t) => {
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

test('deleting an environment first removes it from its host; when that fails, it stays', async (t) => {
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

/** Stored users of the first environment. */
async function storedUsers(api: TestApi): Promise<Settings['edge']['basicAuth']> {
  const row = await api.deps.db.selectFrom('environment').selectAll().orderBy('id').executeTakeFirstOrThrow();
  return readSettings(row).edge.basicAuth;
}

const userOf = (user: string, password?: string) => ({ user, ...(password !== undefined && { password }) });

test('passwords of basic auth are hashed, and no response shows them', async (t) => {
  const { api, token, call } = await start(t);
  const password = 'correct horse battery';
  const made = await api.call(token, 'POST', '/projects', {
    slug: 'closed',
    environment: { slug: 'production', settings: { edge: { basicAuth: [userOf('ada', password)] } } },
  });
  assert.equal(made.status, 201);
  assert.deepEqual(made.json.environments[0].settings.edge.basicAuth, [{ user: 'ada' }]);
  const change = (basicAuth: unknown) => call('PATCH', '/production', { settings: { edge: { basicAuth } } });
  const changed = await change([userOf('grace', password)]);
  assert.equal(changed.status, 200);
  assert.deepEqual(changed.json.settings.edge.basicAuth, [{ user: 'grace' }]);
  assert.ok(!changed.text.includes('scrypt:') && !changed.text.includes(password));
  const stored = await storedUsers(api);
  assert.match(stored[0]?.password ?? '', /^scrypt:/);

  // The shown value can be sent back: users keep their passwords.
  assert.equal((await change([userOf('grace'), userOf('linus', 'another password')])).status, 200);
  const users = await storedUsers(api);
  assert.equal(users[0]?.password, stored[0]?.password);
  assert.notEqual(users[1]?.password, users[0]?.password);
  assert.deepEqual((await change(null)).json.settings.edge.basicAuth, []);
});

test('invalid basic auth users are refused with the path of their field', async (t) => {
  const { call } = await start(t);
  const refused = async (basicAuth: unknown): Promise<string> => {
    const answer = await call('PATCH', '/production', { settings: { edge: { basicAuth } } });
    assert.equal(answer.json.code, 'ORK_INVALID');
    return answer.json.evidence[0];
  };
  assert.match(await refused([userOf('new')]), /^settings\.edge\.basicAuth\.0\.password: a new user needs one/);
  assert.match(await refused([userOf('a:b', 'long enough')]), /^settings\.edge\.basicAuth\.0\.user: /);
  assert.match(await refused([userOf('a', 'short')]), /^settings\.edge\.basicAuth\.0\.password: /);
  assert.match(await refused([userOf('a', 'long enough'), userOf('a', 'long enough')]), /named twice/);
  assert.match(await refused('nobody'), /^settings\.edge\.basicAuth: /);
});

test('edge settings merge field by field; domains may be wildcards or strip their prefix', async (t) => {
  const { call } = await start(t);
  const change = (settings: unknown) => call('PATCH', '/production', { settings });
  const edge = { ratePerClient: { requests: 10 }, allowFrom: ['10.0.0.0/8', '2001:db8::/32'], compression: true };
  assert.equal((await change({ edge })).status, 200);
  const after = await change({
    edge: { ratePerClient: { burst: 5 }, errorPages: { 503: '<h1>Not now</h1>' } },
    streamDrainSeconds: 120,
    domains: [{ host: '*.shop.example.com' }, { host: 'example.com', pathPrefix: '/shop', stripPrefix: true }],
  });
  assert.equal(after.status, 200, after.text);
  const { settings } = after.json;
  assert.deepEqual(settings.edge.ratePerClient, { requests: 10, perSeconds: 1, burst: 5 });
  assert.deepEqual([settings.edge.allowFrom, settings.edge.compression], [edge.allowFrom, true]);
  assert.deepEqual(settings.edge.errorPages, { 503: '<h1>Not now</h1>' });
  assert.deepEqual(settings.domains[1], { host: 'example.com', pathPrefix: '/shop', stripPrefix: true });
  assert.deepEqual(after.json.urls, ['http://*.shop.example.com:8080', 'http://example.com:8080/shop']);
  for (const wrong of [
    { https: 'perhaps' },
    { allowFrom: ['example.com'] },
    { errorPages: { 500: 'x' } },
    { gzip: true },
  ])
    assert.equal((await change({ edge: wrong })).json.code, 'ORK_INVALID', JSON.stringify(wrong));
});

test('an environment shows its newest deployment, whatever its status', async (t) => {
  const { api, project, call } = await start(t);
  const [environment] = project.environments;
  assert.equal((await call('GET', '/production')).json.latestDeployment, null);
  const { db } = api.deps;
  const createdAt = '2030-01-01T00:00:00.000Z';
  const [older, newer] = ['01a206af-1c15-76ac-a790-087bc48c4501', '01a206af-1c15-76ac-a790-087bc48c4502'];
  const request = { environmentId: environment.id, trigger: 'manual', branch: 'main', userId: null } as const;
  await db
    .transaction()
    .execute((tx) => insertDeployment(tx, older, { ...request, commit: 'a'.repeat(40) }, createdAt));
  await db
    .transaction()
    .execute((tx) => insertDeployment(tx, newer, { ...request, commit: 'b'.repeat(40) }, createdAt));
  assert.deepEqual((await call('GET', '/production')).json.latestDeployment, {
    id: newer,
    status: 'queued',
    commit: 'b'.repeat(40),
    createdAt,
  });
});
