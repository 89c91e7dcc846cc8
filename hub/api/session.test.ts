import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashSecretToken } from '../auth/secret-token.ts';
import { startTestApi, type Answer, type TestApi } from './test-api.ts';

const DAY_MS = 24 * 3600 * 1000;

const logIn = (api: TestApi, token: string, headers: Record<string, string> = {}): Promise<Answer> =>
  api.fetch({ method: 'POST', path: '/api/v1/session', body: { token }, headers });

const setCookie = (answer: Answer): string => String(answer.headers['set-cookie']);
const cookieOf = (answer: Answer): string => setCookie(answer).split(';', 1)[0] ?? '';

test('a token is exchanged for a cookie that scripts cannot read and other sites do not send', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const answer = await logIn(api, token);
  assert.equal(answer.status, 200);
  assert.equal(answer.json.team.slug, 'alpha');
  assert.match(setCookie(answer), /^orkestr_session=ors_[\w-]{43};/);
  for (const attribute of ['HttpOnly', 'SameSite=Strict', 'Path=/', 'Max-Age=604800']) {
    assert.ok(setCookie(answer).includes(attribute), attribute);
  }
  assert.ok(!answer.text.includes(token));
  const me = await api.fetch({ path: '/api/v1/me', headers: { cookie: cookieOf(answer) } });
  assert.equal(me.json.user.email, 'alpha@example.com');
});

test('with TLS the cookie is secure and host-bound, and HSTS is sent without includeSubDomains', async (t) => {
  const api = await startTestApi(t, { ORKESTR_HUB_URL: 'https://hub.example.com' });
  const answer = await logIn(api, (await api.account('alpha')).token);
  assert.match(setCookie(answer), /^__Host-orkestr_session=.*Secure/);
  // Without subdomains: apps are subdomains of the hub, and have no certificate at first.
  assert.match(String(answer.headers['strict-transport-security']), /^max-age=\d{7,}$/);
});

test('a wrong token opens no session', async (t) => {
  const api = await startTestApi(t);
  const answer = await logIn(api, 'ork_wrong');
  assert.equal(answer.status, 401);
  assert.equal(answer.headers['set-cookie'], undefined);
});

test('the database contains neither tokens nor session ids, only their hashes', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const session = cookieOf(await logIn(api, token)).split('=')[1] ?? '';
  const { db } = api.deps;
  const rows = JSON.stringify([
    await db.selectFrom('api_token').selectAll().execute(),
    await db.selectFrom('session').selectAll().execute(),
  ]);
  assert.ok(rows.includes(hashSecretToken(token)) && rows.includes(hashSecretToken(session)));
  assert.ok(!rows.includes(token) && !rows.includes(session));
});

test('a session can write only with the origin of this hub', async (t) => {
  const api = await startTestApi(t);
  const cookie = cookieOf(await logIn(api, (await api.account('alpha')).token));
  const write = (headers: Record<string, string>): Promise<Answer> =>
    api.fetch({ method: 'POST', path: '/api/v1/hosts', body: { name: 'vps' }, headers: { cookie, ...headers } });
  for (const origin of [undefined, 'null', 'https://evil.example', api.url.replace('127.0.0.1', 'localhost')]) {
    const answer = await write(origin === undefined ? {} : { origin });
    assert.equal(answer.status, 403, origin);
    assert.equal(answer.json.code, 'ORK_FORBIDDEN');
  }
  assert.equal((await write({ origin: api.url })).status, 201);
});

test('a bearer token takes precedence over a cookie', async (t) => {
  const api = await startTestApi(t);
  const cookie = cookieOf(await logIn(api, (await api.account('alpha')).token));
  const answer = await api.fetch({ path: '/api/v1/me', token: 'ork_wrong', headers: { cookie } });
  assert.equal(answer.status, 401);
});

test('another site cannot log a visitor in', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  assert.equal((await logIn(api, token, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await logIn(api, token, { origin: api.url })).status, 200);
});

test('logging out ends the session, not only the cookie', async (t) => {
  const api = await startTestApi(t);
  const cookie = cookieOf(await logIn(api, (await api.account('alpha')).token));
  const out = (headers: Record<string, string>): Promise<Answer> =>
    api.fetch({ method: 'DELETE', path: '/api/v1/session', headers });
  assert.equal((await out({ cookie })).status, 403, 'from another site');
  assert.equal((await out({ cookie, origin: api.url })).status, 204);
  assert.equal((await api.fetch({ path: '/api/v1/me', headers: { cookie } })).status, 401);
  assert.equal((await out({})).status, 204, 'nobody is logged in: nothing to do');
});

test('a session ends after its lifetime, when its token is revoked, and when the token expires', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const statusOf = async (cookie: string): Promise<number> =>
    (await api.fetch({ path: '/api/v1/me', headers: { cookie } })).status;
  const make = async (expiresInDays?: number) =>
    (await api.call(token, 'POST', '/tokens', { name: 'x', scopes: ['read'], expiresInDays })).json;

  const [revoked, short] = [await make(), await make(2)];
  const cookies = await Promise.all(
    [token, revoked.token, short.token].map(async (one) => cookieOf(await logIn(api, one))),
  );
  assert.deepEqual(await Promise.all(cookies.map(statusOf)), [200, 200, 200]);
  await api.call(token, 'DELETE', `/tokens/${revoked.id}`);
  assert.deepEqual(await Promise.all(cookies.map(statusOf)), [200, 401, 200]);
  api.pass(2 * DAY_MS);
  assert.deepEqual(await Promise.all(cookies.map(statusOf)), [200, 401, 401]);
  api.pass(5 * DAY_MS);
  assert.deepEqual(await Promise.all(cookies.map(statusOf)), [401, 401, 401]);
});

test('guessing tokens is rate-limited, with a Retry-After header', async (t) => {
  const api = await startTestApi(t);
  const answers: Answer[] = [];
  for (let i = 0; i < 21; i++) answers.push(await logIn(api, `ork_${i}`));
  assert.deepEqual(new Set(answers.slice(0, 20).map(({ status }) => status)), new Set([401]));
  const last = answers[20];
  assert.equal(last?.status, 429);
  assert.equal(last?.json.code, 'ORK_TOO_MANY_REQUESTS');
  assert.match(String(last?.headers['content-type']), /^application\/problem\+json/);
  assert.ok(Number(last?.headers['retry-after']) > 0);
});

test('behind a trusted load balancer the rate limit of one client does not affect others', async (t) => {
  const api = await startTestApi(t, { ORKESTR_HUB_TRUSTED: '10.0.0.8/30' });
  const from = async (client: string): Promise<number> =>
    (await logIn(api, 'ork_wrong', { 'x-forwarded-for': `192.0.2.1, ${client}, 10.0.0.9` })).status;
  for (let i = 0; i < 20; i++) await from('198.51.100.1');
  assert.equal(await from('198.51.100.1'), 429);
  assert.equal(await from('198.51.100.2'), 401);
});
