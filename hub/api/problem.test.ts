import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import fastify from 'fastify';
import { Problem } from '../../protocol/errors.ts';
import { registerProblems } from './problem.ts';
import { startTestApi } from './test-api.ts';

test('every refusal is a problem document with a code', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const json = { 'content-type': 'application/json' };
  const post = (body: string, headers: Record<string, string> = json) =>
    api.fetch({ method: 'POST', path: '/api/v1/hosts', body, token, headers });
  const cases = {
    'not JSON': [await post('{"name":'), 400, 'ORK_INVALID'],
    empty: [await post(''), 400, 'ORK_INVALID'],
    'wrong shape': [await post('{"name":7}'), 400, 'ORK_INVALID'],
    poisoned: [await post('{"name":"x","__proto__":{"a":1}}'), 400, 'ORK_INVALID'],
    'other type': [await post('name=x', { 'content-type': 'text/plain' }), 400, 'ORK_INVALID'],
    'too large': [await post(JSON.stringify({ name: 'x'.repeat(600_000) })), 413, 'ORK_TOO_LARGE'],
    'no route': [await api.fetch({ path: '/api/v1/nothing', token }), 404, 'ORK_NOT_FOUND'],
    'no method': [await api.fetch({ method: 'PUT', path: '/api/v1/hosts', token }), 404, 'ORK_NOT_FOUND'],
    'nothing by that id': [await api.call(token, 'DELETE', '/hosts/x'), 404, 'ORK_NOT_FOUND'],
    'broken escape': [await api.fetch({ path: '/api/v1/projects/%ff', token }), 400, 'ORK_INVALID'],
  } as const;
  for (const [name, [answer, status, code]] of Object.entries(cases)) {
    assert.equal(answer.status, status, `${name}: ${answer.text}`);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, name);
    const problem = Problem.parse(answer.json);
    assert.deepEqual([problem.code, problem.status], [code, status], name);
    assert.ok(problem.detail.length > 10 && problem.mend.length > 3, name);
  }
});

test('each invalid field is named', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  const answer = await api.call(token, 'POST', '/projects', {
    slug: 'Shop!',
    environment: { slug: 'production', branch: '--upload-pack=x', settings: { limits: { cpus: -1 } } },
  });
  const fields = answer.json.evidence.map((line: string) => line.split(':')[0]);
  assert.deepEqual(fields, ['body.slug', 'body.environment.branch', 'body.environment.settings.limits.cpus']);
});

test('a full disk and a locked database are reported with codes of their own', async (t) => {
  const app = fastify();
  t.after(() => app.close());
  registerProblems(app);
  app.get('/:code', ({ params }) => Promise.reject(Object.assign(new Error('no'), params)));
  const told = async (code: string) => {
    const answer = await app.inject(`/${code}`);
    return [answer.statusCode, answer.json<Problem>().code, answer.headers['retry-after']];
  };
  assert.deepEqual(await told('SQLITE_FULL'), [507, 'ORK_DISK_FULL', undefined]);
  assert.deepEqual(await told('SQLITE_BUSY'), [503, 'ORK_HUB_BUSY', '5']);
  assert.deepEqual(await told('SQLITE_CORRUPT'), [500, 'ORK_INTERNAL', undefined]);
});

test('the text of an internal error is not exposed', async (t) => {
  const api = await startTestApi(t);
  const { token } = await api.account('alpha');
  await api.deps.db.schema.alterTable('variable').renameTo('gone').execute();
  await api.call(token, 'POST', '/hosts', { name: 'vps' });
  await api.call(token, 'POST', '/projects', { slug: 'shop' });
  const answer = await api.call(token, 'GET', '/projects/shop/environments/production/variables');
  assert.equal(answer.status, 500);
  assert.equal(answer.json.code, 'ORK_INTERNAL');
  assert.ok(!/sqlite|variable|table/i.test(answer.json.detail));
  assert.match(answer.json.evidence[0], /^request: /);
  await api.deps.db.schema.alterTable('gone').renameTo('variable').execute();
});

test('bytes that are not HTTP do not crash the process', async (t) => {
  const api = await startTestApi(t);
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write('\x16\x03\x01 garbage\r\n\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 400 /);
  assert.equal((await api.fetch({ path: '/healthz' })).status, 200);
});
