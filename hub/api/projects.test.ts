import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openRepositoryAuth } from '../store/projects.ts';
import { startTestApi } from './test-api.ts';

async function start(t: TestContext, env: Record<string, string> = {}, hosts = ['vps']) {
  const api = await startTestApi(t, env);
  const { token } = await api.account('alpha');
  for (const name of hosts) await api.call(token, 'POST', '/hosts', { name });
  const post = (body: unknown) => api.call(token, 'POST', '/projects', body);
  return { api, token, post };
}

test('a new project gets a git remote, its first environment and a domain', async (t) => {
  const { api, token, post } = await start(t, { ORKESTR_APPS_URL: 'https://apps.example.com' });
  const made = await post({ slug: 'shop' });
  assert.equal(made.status, 201);
  const { id, gitRemote, environments, origin } = made.json;
  assert.equal(gitRemote, `${api.url}/git/shop.git`);
  assert.equal(origin, 'hub');
  assert.deepEqual(api.asked, [`createRepository ${id}`]);
  assert.equal(environments.length, 1);
  assert.equal(environments[0].slug, 'production');
  assert.equal(environments[0].branch, 'main');
  assert.deepEqual(environments[0].urls, ['https://shop.apps.example.com']);
  assert.equal(environments[0].liveDeploymentId, null);
  assert.deepEqual((await api.call(token, 'GET', '/projects/shop')).json, made.json);
  assert.deepEqual((await api.call(token, 'GET', `/projects/${id}`)).json, made.json);
  assert.deepEqual((await api.call(token, 'GET', '/projects')).json, [made.json]);
});

test('without a host, or with several and none named, the error lists the hosts there are', async (t) => {
  const none = await start(t, {}, []);
  assert.match((await none.post({ slug: 'shop' })).json.detail, /no host yet/);
  const two = await start(t, {}, ['vps-1', 'vps-2']);
  const answer = await two.post({ slug: 'shop' });
  assert.equal(answer.json.code, 'ORK_INVALID');
  assert.match(answer.json.detail, /2 hosts.*vps-1.*vps-2/);
  const [, host] = (await two.api.call(two.token, 'GET', '/hosts')).json;
  const made = await two.post({ slug: 'shop', environment: { slug: 'production', hostId: host.id } });
  assert.equal(made.json.environments[0].hostId, host.id);
});

test('a project that could not be created leaves neither rows nor a repository behind', async (t) => {
  const { api, token, post } = await start(t);
  await post({ slug: 'shop' });
  const asked = api.asked.length;
  const again = await post({ slug: 'shop' });
  assert.equal(again.json.code, 'ORK_CONFLICT');
  const taken = { slug: 'production', settings: { domains: [{ host: 'shop.localhost' }] } };
  assert.equal((await post({ slug: 'other', environment: taken })).json.code, 'ORK_ROUTE_TAKEN');
  assert.equal((await post({ slug: 'git' })).json.code, 'ORK_INVALID');
  const pairs = api.asked.slice(asked).map((line) => line.split(' ')[0]);
  assert.deepEqual(pairs, ['createRepository', 'removeRepository', 'createRepository', 'removeRepository']);
  assert.equal((await api.call(token, 'GET', '/projects')).json.length, 1);
});

test('an environment whose settings could not be read back is not stored, and the other projects stay listed', async (t) => {
  const { api, token, post } = await start(t);
  await post({ slug: 'shop' });
  // As stored by a hub before such URLs were rejected.
  Object.assign(api.deps.config, { appsUrl: 'http://apps_1.example.com' });
  assert.equal((await post({ slug: 'blog' })).status, 500);
  const listed = await api.call(token, 'GET', '/projects');
  assert.deepEqual(
    listed.json.map(({ slug }: { slug: string }) => slug),
    ['shop'],
  );
});

test('the credentials of an external repository are sealed and appear in no response', async (t) => {
  const { api, token, post } = await start(t);
  const repository = { url: 'https://git.example.com/acme/shop.git', auth: { token: 'glpat-secret' } };
  const made = await post({ slug: 'shop', repository });
  assert.equal(made.json.origin, 'external');
  assert.equal(made.json.repositoryUrl, repository.url);
  assert.equal(made.json.gitRemote, null);
  assert.deepEqual(api.asked, []);
  const row = await api.deps.db.selectFrom('project').selectAll().executeTakeFirstOrThrow();
  assert.deepEqual(openRepositoryAuth(api.deps.sealer, row), { username: 'git', token: 'glpat-secret' });
  const everything = JSON.stringify(row) + made.text + (await api.call(token, 'GET', '/projects')).text;
  assert.ok(!everything.includes('glpat-secret'));
  // It does not open in another project's row.
  assert.throws(() => openRepositoryAuth(api.deps.sealer, { ...row, id: 'other' }));
});

test('the token of an external repository can be changed and removed, and is not used for another URL', async (t) => {
  const { api, token, post } = await start(t);
  const url = 'https://git.example.com/acme/shop.git';
  const made = await post({ slug: 'shop', repository: { url, auth: { username: 'ci', token: 'first-secret' } } });
  assert.equal(made.json.hasRepositoryToken, true);
  const change = (repository: unknown) => api.call(token, 'PATCH', '/projects/shop', { repository });
  const stored = async () => {
    const row = await api.deps.db.selectFrom('project').selectAll().executeTakeFirstOrThrow();
    return [row.repository_url, openRepositoryAuth(api.deps.sealer, row)];
  };
  const changed = await change({ auth: { token: 'second-secret' } });
  assert.deepEqual([changed.status, changed.json], [200, made.json]);
  assert.ok(!changed.text.includes('secret'));
  assert.deepEqual(await stored(), [url, { username: 'git', token: 'second-secret' }]);

  const other = 'https://git.example.org/acme/shop.git';
  const led = await change({ url: other });
  assert.match(led.json.evidence[0], /^body\.repository\.auth: the current token is for the previous URL/);
  assert.equal((await change({ url: 'http://git.example.com/a.git', auth: null })).json.code, 'ORK_URL_REFUSED');
  assert.equal((await change({ url: 'ext::sh -c id', auth: null })).json.code, 'ORK_INVALID');
  assert.deepEqual(await stored(), [url, { username: 'git', token: 'second-secret' }]);
  assert.equal((await change({ url })).status, 200);

  assert.equal((await change({ url: other, auth: { token: 'third-secret' } })).json.repositoryUrl, other);
  assert.deepEqual(await stored(), [other, { username: 'git', token: 'third-secret' }]);
  assert.equal((await change({ auth: null })).json.hasRepositoryToken, false);
  assert.equal((await change({ url })).json.repositoryUrl, url);
  assert.deepEqual(await stored(), [url, undefined]);
});

test("a project on the hub's own remote cannot change to an external repository", async (t) => {
  const { api, token, post } = await start(t);
  const made = await post({ slug: 'shop' });
  const repository = { url: 'https://git.example.com/acme/shop.git' };
  for (const change of [repository, { auth: { token: 'x' } }]) {
    const answer = await api.call(token, 'PATCH', '/projects/shop', { repository: change });
    assert.match(answer.json.evidence[0], /hub's own git remote/);
  }
  assert.deepEqual((await api.call(token, 'GET', '/projects/shop')).json, made.json);
});

test('hostile and plain HTTP repository URLs are refused before anything runs', async (t) => {
  const { api, post } = await start(t);
  const urls = [
    'ext::sh -c id',
    'file:///etc',
    '--upload-pack=touch /x',
    'https://user:pass@git.example.com/a.git',
    'https://git.example.com/a.git?x=y',
    'https://-oProxyCommand=x/a',
    'ssh://git@example.com/a.git',
    'git@example.com:a.git',
    'https://git.example.com/a b',
    'https://git.example.com',
  ];
  for (const url of urls) assert.equal((await post({ slug: 'x', repository: { url } })).json.code, 'ORK_INVALID', url);
  const plain = { slug: 'x', repository: { url: 'http://git.example.com/a.git' } };
  assert.equal((await post(plain)).json.code, 'ORK_URL_REFUSED');
  assert.deepEqual(api.asked, []);
  const lenient = await start(t, { ORKESTR_ALLOW_HTTP_REPOSITORIES: '1' });
  assert.equal((await lenient.post(plain)).status, 201);
});

test('a second team whose default domain is taken gets one with a suffix', async (t) => {
  const { api, post } = await start(t);
  await post({ slug: 'shop' });
  const beta = await api.account('beta');
  await api.call(beta.token, 'POST', '/hosts', { name: 'vps' });
  const made = await api.call(beta.token, 'POST', '/projects', { slug: 'shop' });
  assert.match(made.json.environments[0].urls[0], /^http:\/\/shop-[0-9a-f]{6}\.localhost:8080$/);
});

test('deleting a project first removes it from its hosts, then removes the repository', async (t) => {
  const { api, token, post } = await start(t);
  const { id } = (await post({ slug: 'shop' })).json;
  api.asked.length = 0;
  assert.equal((await api.call(token, 'DELETE', '/projects/shop')).status, 204);
  assert.deepEqual(api.asked, [`removeProject ${id}`, `removeRepository ${id}`]);
  assert.equal((await api.call(token, 'GET', '/projects/shop')).status, 404);
  assert.equal((await post({ slug: 'shop' })).json.environments[0].urls[0], 'http://shop.localhost:8080');
});
