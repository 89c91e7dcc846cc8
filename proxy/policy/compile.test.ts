import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from './compile.ts';
import { needsGeneral } from './general.ts';
import { asked, deps, edge, field, ROUTE } from './test-asked.ts';

const HTML = { accept: 'text/html,*/*' };

test('a route with default settings and no TLS has no policy', () => {
  assert.equal(compilePolicy(ROUTE, edge({}), deps()), null);
  assert.equal(compilePolicy(ROUTE, edge({ https: 'off' }), deps({ hasCertificate: () => true })), null);
  assert.equal(compilePolicy(ROUTE, edge({ canonicalHost: ROUTE.host }), deps()), null);
});

test('a client that is not on the allow-list is refused before any other check, and uses up no rate', () => {
  const policy = compilePolicy(
    ROUTE,
    edge({ allowFrom: ['10.0.0.0/8'], maintenance: true, https: 'only', ratePerClient: { requests: 1 } }),
    deps(),
  );
  const answer = policy?.judge(asked());
  assert.equal(answer?.status, 403);
  assert.equal(answer?.code, 'ORK_ADDRESS_REFUSED');
  assert.equal(policy?.judge(asked({ clientAddress: '10.1.1.1' }))?.status, 503);
});

test('the allow-list matches addresses and networks of both families, and only valid addresses', () => {
  const policy = compilePolicy(
    ROUTE,
    edge({ allowFrom: ['203.0.113.7', '10.0.0.0/8', '2001:db8::/32', '::1'] }),
    deps(),
  );
  const status = (clientAddress: string): number => policy?.judge(asked({ clientAddress }))?.status ?? 200;
  for (const address of ['203.0.113.7', '10.255.0.1', '2001:db8:ffff::1', '::1'])
    assert.equal(status(address), 200, address);
  for (const address of ['203.0.113.8', '11.0.0.1', '2001:db9::1', '::2', '', '10.0.0', 'localhost', '10.0.0.1 '])
    assert.equal(status(address), 403, address);
});

test("maintenance answers 503 with Retry-After, and with the environment's page for clients that accept HTML", () => {
  const policy = compilePolicy(
    ROUTE,
    edge({ maintenance: true, https: 'only', errorPages: { '503': '<h1>soon</h1>' } }),
    deps(),
  );
  const page = policy?.judge(asked({ headers: HTML }));
  assert.deepEqual([page?.status, page?.code, page?.body], [503, 'ORK_MAINTENANCE', '<h1>soon</h1>']);
  assert.equal(field(page?.headers ?? [], 'retry-after'), '120');
  assert.equal(field(page?.headers ?? [], 'content-type'), 'text/html; charset=utf-8');
  const text = policy?.judge(asked({ headers: { accept: '*/*' } }));
  assert.match(text?.body ?? '', /^503 Service Unavailable\n.*\nORK_MAINTENANCE\n$/s);
});

test('an answer never has framing fields, which the engines set themselves', () => {
  const policy = compilePolicy(ROUTE, edge({ maintenance: true }), deps());
  for (const name of ['content-length', 'transfer-encoding', 'connection'])
    assert.equal(field(policy?.judge(asked())?.headers ?? [], name), undefined, name);
});

test('a declared body above the limit gets 413; one at the limit or without length passes', () => {
  const policy = compilePolicy(ROUTE, edge({ maxBodyBytes: 1000 }), deps());
  const post = (contentLength: number | null): number | undefined =>
    policy?.judge(asked({ method: 'POST', contentLength }))?.status;
  assert.deepEqual([post(1001), post(1000), post(0), post(null)], [413, undefined, undefined, undefined]);
});

test('an open ACME challenge passes every check; an unknown one, or a longer path, passes none', () => {
  const policy = compilePolicy(
    ROUTE,
    edge({
      allowFrom: ['10.0.0.1'],
      maintenance: true,
      https: 'only',
      maxBodyBytes: 1,
      ratePerClient: { requests: 1 },
    }),
    deps({ isOpenChallenge: (token) => token === 'open-Token_1' }),
  );
  const status = (target: string): number | undefined => policy?.judge(asked({ target }))?.status;
  assert.equal(status('/.well-known/acme-challenge/open-Token_1'), undefined);
  for (const target of [
    'other',
    'open-Token_1/',
    'open-Token_1?x',
    '../../secret',
    '%2e%2e/x',
    'open-Token_1/../../secret',
    '',
    'a.b',
  ])
    assert.equal(status(`/.well-known/acme-challenge/${target}`), 403, target);
});

test('an ACME challenge of the app itself is not redirected, and maintenance does not block it', () => {
  const target = '/.well-known/acme-challenge/of-the-app';
  const only = compilePolicy(ROUTE, edge({ https: 'only', canonicalHost: 'www.app.test' }), deps());
  assert.equal(only?.judge(asked({ target })), null);
  assert.equal(only?.judge(asked({ target: `${target}/x` }))?.status, 301);
  const closed = compilePolicy(ROUTE, edge({ maintenance: true }), deps());
  assert.equal(closed?.judge(asked({ target })), null);
});

test('routes that need more than passing bytes on use the general engine', () => {
  assert.equal(needsGeneral({}, edge({})), false);
  const plain = {
    maintenance: true,
    maxBodyBytes: 5,
    allowFrom: ['::1'],
    https: 'only',
    ratePerClient: { requests: 1 },
    errorPages: { '503': 'x' },
  };
  assert.equal(needsGeneral({ stripPrefix: false }, edge(plain)), false);
  assert.equal(needsGeneral({ stripPrefix: true }, edge({})), true);
  const password = `scrypt:${'A'.repeat(22)}==:${'A'.repeat(43)}=`;
  for (const some of [{ compression: true }, { appProtocol: 'h2c' }, { basicAuth: [{ user: 'u', password }] }])
    assert.equal(needsGeneral({}, edge(some)), true, JSON.stringify(some));
  const canary = { targets: [], weightPercent: 5 };
  assert.equal(needsGeneral({}, edge({}), canary), false);
  assert.equal(needsGeneral({}, edge({}), { ...canary, cookie: 'a=b' }), true);
});
