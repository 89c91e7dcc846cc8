import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Answer } from '../http/pages.ts';
import { compilePolicy } from './compile.ts';
import type { Asked } from './policy.ts';
import { asked, deps, edge, field, ROUTE } from './test-asked.ts';

const location = (answer: Answer | null | undefined): string | undefined => field(answer?.headers ?? [], 'location');

/** Where a request is redirected to, under these settings of its route. */
function sent(
  settings: Parameters<typeof edge>[0],
  request: Parameters<typeof asked>[0],
  certificates: readonly string[] | null = null,
  route = ROUTE,
): string | undefined {
  const hasCertificate = certificates && ((host: string): boolean => certificates.includes(host));
  return location(compilePolicy(route, edge(settings), deps({ hasCertificate }))?.judge(asked(request)));
}

test('HTTP redirects to HTTPS once the host has a certificate', () => {
  let ready = false;
  const policy = compilePolicy(ROUTE, edge({}), deps({ hasCertificate: () => ready }));
  assert.equal(policy?.judge(asked({ target: '/a?b' })), null);
  ready = true;
  assert.equal(location(policy?.judge(asked({ target: '/a?b' }))), 'https://app.test/a?b');
  assert.equal(policy?.judge(asked({ target: '/a?b', secure: true })), null);
});

test('"only" redirects without a certificate, and "off" never does', () => {
  assert.equal(sent({ https: 'only' }, {}), 'https://app.test/');
  assert.equal(sent({ https: 'only' }, { secure: true }), undefined);
  assert.equal(sent({ https: 'off' }, {}, ['app.test']), undefined);
});

test('a wildcard route checks the certificate of the requested host', () => {
  const route = { ...ROUTE, host: '*.app.test' };
  assert.equal(sent({}, { host: 'a.app.test' }, ['a.app.test'], route), 'https://a.app.test/');
  assert.equal(sent({}, { host: 'b.app.test' }, ['a.app.test'], route), undefined);
});

test('GET and HEAD get 301, all others 308, which keeps method and body', () => {
  const policy = compilePolicy(ROUTE, edge({ https: 'only' }), deps());
  const status = (method: string): number | undefined => policy?.judge(asked({ method }))?.status;
  assert.deepEqual(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'].map(status), [301, 301, 308, 308, 308, 308]);
});

test('a redirect is not a failure, and clients cache it for an hour only', () => {
  const answer = compilePolicy(ROUTE, edge({ https: 'only' }), deps())?.judge(asked());
  assert.equal(answer?.code, null);
  assert.equal(field(answer?.headers ?? [], 'cache-control'), 'max-age=3600');
});

test('other hosts are redirected to the canonical one and to HTTPS in one hop', () => {
  const settings = { canonicalHost: 'www.app.test' };
  assert.equal(sent(settings, {}), 'http://www.app.test/');
  assert.equal(sent(settings, {}, ['www.app.test']), 'https://www.app.test/');
  assert.equal(sent({ ...settings, https: 'off' }, {}, ['www.app.test']), 'http://www.app.test/');
  assert.equal(sent(settings, { secure: true }, ['www.app.test', 'app.test']), 'https://www.app.test/');
  assert.equal(sent(settings, { host: 'www.app.test' }, [], { ...ROUTE, host: 'www.app.test' }), undefined);
});

test('a client on HTTPS is never redirected to HTTP, nor to a host without a certificate', () => {
  const settings = { canonicalHost: 'www.app.test', https: 'off' };
  assert.equal(sent(settings, { secure: true }, ['app.test']), undefined);
  // Neither has a certificate, and yet it is https: TLS ends in front of us.
  assert.equal(sent(settings, { secure: true }, []), 'https://www.app.test/');
});

test("the port is the client's if the scheme stays, else the one of HTTPS", () => {
  const settings = { canonicalHost: 'www.app.test' };
  assert.equal(sent(settings, { headers: { host: 'app.test:8080' } }), 'http://www.app.test:8080/');
  const policy = compilePolicy(ROUTE, edge({ https: 'only' }), deps({ httpsPort: 8443 }));
  const request = asked({ target: '/x', headers: { host: 'app.test:8080' } });
  assert.equal(location(policy?.judge(request)), 'https://app.test:8443/x');
});

test('for any request the redirect leads to our own host, with path and query unchanged', () => {
  const hostile = [
    '//evil.test/',
    '/\\evil.test',
    '/@evil.test',
    '/.evil.test',
    '/%0d%0aSet-Cookie:x',
    '/..//evil.test',
  ];
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const target = fc.oneof(
    fc.constantFrom(...hostile),
    fc.oneof(fc.string({ unit: 'binary-ascii' }), bytes).map((text) => `/${text}`),
  );
  const authority = fc.oneof(
    fc.string(),
    fc.constantFrom('a:80@evil.test', 'a:8080', 'a:1/evil', '[::1]:90', 'a:\r\nx: 1'),
  );
  const headers = fc.option(authority).map((host): Record<string, string> => (host === null ? {} : { host }));
  const https = compilePolicy(ROUTE, edge({ https: 'only' }), deps());
  const canonical = compilePolicy(ROUTE, edge({ canonicalHost: 'www.app.test' }), deps());
  fc.assert(
    fc.property(target, headers, (target, headers) => {
      const request: Asked = asked({ target, headers });
      const found = /^https:\/\/app\.test(\/[\x21-\x7e]*)$/.exec(location(https?.judge(request)) ?? '')?.[1];
      const kept = /^http:\/\/www\.app\.test(?::\d{1,5})?(\/[\x21-\x7e]*)$/.exec(
        location(canonical?.judge(request)) ?? '',
      )?.[1];
      assert.ok(found !== undefined && found === kept);
      if (/^[\x21-\x7e]*$/.test(target)) assert.equal(found, target);
    }),
  );
});
