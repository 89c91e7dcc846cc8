import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EdgeSettings } from '../protocol/edge.ts';
import { HostName } from '../protocol/ids.ts';
import { OrkestrError } from '../protocol/errors.ts';
import { checkCanonicalHost, checkDomains, checkProjectSlug, defaultDomains, environmentUrls } from './domains.ts';

const of = {
  project: 'shop',
  environment: 'staging',
  environmentId: '01a206af-1c15-76ac-a790-087bc48c4509',
  appsUrl: 'http://localhost:8080',
};
const names = (wanted: Partial<Parameters<typeof defaultDomains>[0]>): string[] =>
  defaultDomains({ ...of, isFirst: false, ...wanted }).map(({ host }) => host);

test('the first environment gets the name of its project; others put their own name before it', () => {
  assert.deepEqual(names({ isFirst: true }), ['shop.localhost', 'shop-8c4509.localhost']);
  assert.deepEqual(names({}), ['staging-shop.localhost', 'staging-shop-8c4509.localhost']);
});

test('every default domain is a valid host name, however long the slugs are', () => {
  const slug = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/);
  fc.assert(
    fc.property(slug, slug, fc.boolean(), (project, environment, isFirst) => {
      const hosts = names({ project, environment, isFirst });
      assert.ok(hosts.length > 0);
      for (const host of hosts) assert.ok(HostName.safeParse(host).success, host);
    }),
  );
});

test('URLs take the scheme and port of the apps URL', () => {
  const domains = [
    { host: 'a.example.com', pathPrefix: '/' },
    { host: 'b.example.com', pathPrefix: '/api' },
  ];
  assert.deepEqual(environmentUrls({ domains }, 'http://localhost:8080'), [
    'http://a.example.com:8080',
    'http://b.example.com:8080/api',
  ]);
  assert.deepEqual(environmentUrls({ domains }, 'https://apps.example.com')[0], 'https://a.example.com');
});

const code = (expected: string) => (error: unknown) => error instanceof OrkestrError && error.code === expected;

test('an environment cannot have the same domain twice, nor the domain of the hub', () => {
  const domain = { host: 'a.example.com', pathPrefix: '/' };
  const urls = { hub: 'https://hub.example.com', apps: 'https://apps.example.com' };
  assert.throws(() => checkDomains([domain, domain], urls), code('ORK_INVALID'));
  assert.throws(() => checkDomains([domain], { ...urls, hub: 'https://a.example.com:8443' }), code('ORK_ROUTE_TAKEN'));
  checkDomains([domain, { ...domain, pathPrefix: '/b' }], urls);
});

test('a wildcard can cover neither the hub nor the default domains of all environments', () => {
  const urls = { hub: 'https://hub.example.com', apps: 'https://apps.example.com' };
  const wildcard = (host: string) => [{ host, pathPrefix: '/' }];
  assert.throws(() => checkDomains(wildcard('*.example.com'), urls), code('ORK_ROUTE_TAKEN'));
  assert.throws(() => checkDomains(wildcard('*.apps.example.com'), urls), code('ORK_ROUTE_TAKEN'));
  checkDomains(wildcard('*.shop.apps.example.com'), urls);
  checkDomains(wildcard('*.b.example.com'), urls);
});

test('the URL of a wildcard keeps its asterisk', () => {
  const domains = [{ host: '*.shop.example.com', pathPrefix: '/api' }];
  assert.deepEqual(environmentUrls({ domains }, 'https://apps.example.com'), ['https://*.shop.example.com/api']);
});

test('a project cannot have the name of a part of the hub', () => {
  assert.throws(() => checkProjectSlug('api'), code('ORK_INVALID'));
  checkProjectSlug('shop');
});

test('a canonical host is a name that a domain of the environment covers', () => {
  const settings = (canonicalHost: string | null, ...hosts: string[]) => ({
    domains: hosts.map((host) => ({ host, pathPrefix: '/' })),
    edge: EdgeSettings.parse(canonicalHost === null ? {} : { canonicalHost }),
  });
  checkCanonicalHost(settings(null, 'a.example.com'));
  checkCanonicalHost(settings('www.example.com', 'example.com', 'www.example.com'));
  checkCanonicalHost(settings('www.example.com', '*.example.com'));
  for (const hosts of [['new.example.com'], ['*.example.com', 'b.example.com']]) {
    assert.throws(
      () => checkCanonicalHost(settings('www.old.example.com', ...hosts)),
      (error: unknown) =>
        code('ORK_INVALID')(error) &&
        (error as OrkestrError).message.endsWith(
          `is www.old.example.com, which is not a domain of this environment: ${hosts.join(', ')}.`,
        ),
    );
  }
});
