import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { makeKeyPair } from '../../protocol/signing.ts';
import { findHostById } from '../store/hosts.ts';
import { startTestApi, type Answer } from './test-api.ts';

const HOUR_MS = 3600 * 1000;

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const host = (await api.call(token, 'POST', '/hosts', { name: 'vps' })).json;
  const enrol = (joinToken: string, publicKey: string): Promise<Answer> =>
    api.fetch({ method: 'POST', path: '/api/v1/enrol', body: { joinToken, name: 'debian', publicKey } });
  const storedKey = async () => (await findHostById(api.deps.db, host.id))?.public_key;
  return { api, token, host, enrol, storedKey };
}

test('enrolling with a join token returns the id of the host and the public key of the hub', async (t) => {
  const { api, token, host, enrol, storedKey } = await start(t);
  assert.match(host.joinToken, /^orj_[\w-]{43}$/);
  const { publicKey } = makeKeyPair();
  const answer = await enrol(host.joinToken, publicKey);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json, { hostId: host.id, hubPublicKey: api.deps.hubKey.publicKey });
  assert.equal(await storedKey(), publicKey);
  assert.equal((await api.call(token, 'GET', '/hosts')).json[0].enrolled, true);
});

test('enrolment accepts unknown fields from an agent that is newer than its hub', async (t) => {
  const { api, host } = await start(t);
  const body = { joinToken: host.joinToken, name: 'debian', publicKey: makeKeyPair().publicKey, region: 'north' };
  assert.equal((await api.fetch({ method: 'POST', path: '/api/v1/enrol', body })).status, 200);
});

test('a join token works for one key; the same key may enrol again in case the response was lost', async (t) => {
  const { api, host, enrol, storedKey } = await start(t);
  const { publicKey } = makeKeyPair();
  const first = await enrol(host.joinToken, publicKey);
  const again = await enrol(host.joinToken, publicKey);
  assert.deepEqual([again.status, again.json], [first.status, first.json]);
  const other = await enrol(host.joinToken, makeKeyPair().publicKey);
  assert.equal(other.status, 401);
  assert.equal(other.json.code, 'ORK_JOIN_TOKEN');
  assert.equal(await storedKey(), publicKey);
  assert.deepEqual(
    api.asked.filter((line) => line.startsWith('disconnect')),
    [`disconnect ${host.id}`],
    'asking again ends no session',
  );
});

test('exactly one of several hosts that enrol with one token at the same time succeeds', async (t) => {
  const { host, enrol, storedKey } = await start(t);
  const keys = Array.from({ length: 8 }, () => makeKeyPair().publicKey);
  const answers = await Promise.all(keys.map((key) => enrol(host.joinToken, key)));
  const won = keys.filter((_, i) => answers[i]?.status === 200);
  assert.deepEqual(won, [await storedKey()]);
});

test('an unknown token and one older than an hour are refused alike, even for the key that used it', async (t) => {
  const { api, host, enrol } = await start(t);
  const { publicKey } = makeKeyPair();
  assert.equal((await enrol(host.joinToken, publicKey)).status, 200);
  api.pass(HOUR_MS);
  const [late, unknown] = [await enrol(host.joinToken, publicKey), await enrol('orj_x', publicKey)];
  assert.equal(late.status, 401);
  assert.deepEqual(late.json, unknown.json);
});

test('a key that is not ed25519 is refused, and the token stays valid', async (t) => {
  const { host, enrol } = await start(t);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
  for (const key of ['', 'ssh-ed25519 AAAA', ec.toString()]) {
    const answer = await enrol(host.joinToken, key);
    assert.equal(answer.json.code, 'ORK_INVALID');
    assert.match(answer.json.evidence[0], /^body\.publicKey/);
  }
  assert.equal((await enrol(host.joinToken, makeKeyPair().publicKey)).status, 200);
});

test('enrolment refuses a private key that was sent by mistake', async (t) => {
  const { host, enrol } = await start(t);
  assert.equal((await enrol(host.joinToken, makeKeyPair().privateKey)).json.code, 'ORK_INVALID');
});

test('enrolling again replaces the key only when the new token is used', async (t) => {
  const { api, token, host, enrol, storedKey } = await start(t);
  const [old, fresh] = [makeKeyPair().publicKey, makeKeyPair().publicKey];
  await enrol(host.joinToken, old);
  const again = await api.call(token, 'POST', `/hosts/${host.id}/join-token`);
  assert.equal(again.status, 201);
  assert.equal(await storedKey(), old, 'the host works on until then');
  assert.equal((await enrol(host.joinToken, old)).status, 401, 'the earlier token has ended');
  assert.equal((await enrol(again.json.joinToken, fresh)).json.hostId, host.id);
  assert.equal(await storedKey(), fresh);
  assert.equal(api.asked.at(-1), `disconnect ${host.id}`);
});

test('enrolling again keeps the sequence number of the last acknowledged report', async (t) => {
  const { api, token, host, enrol } = await start(t);
  await enrol(host.joinToken, makeKeyPair().publicKey);
  await api.deps.db.updateTable('host').set({ acknowledged: 500 }).where('id', '=', host.id).execute();
  const again = await api.call(token, 'POST', `/hosts/${host.id}/join-token`);
  await enrol(again.json.joinToken, makeKeyPair().publicKey);
  assert.equal((await findHostById(api.deps.db, host.id))?.acknowledged, 500);
});

test('the database does not contain join tokens', async (t) => {
  const { api, host } = await start(t);
  assert.ok(!JSON.stringify(await findHostById(api.deps.db, host.id)).includes(host.joinToken));
});
