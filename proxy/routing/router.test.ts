import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HostName } from '../../protocol/ids.ts';
import { normalizeHost } from './host.ts';
import { buildRouter, covers } from './router.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const segment = fc.stringMatching(/^[a-z0-9]{1,3}$/);
const prefix = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);

test('a host is found in any spelling of case, port and trailing dot', () => {
  fc.assert(
    fc.property(
      host,
      fc.nat(65_535),
      fc.boolean(),
      fc.boolean(),
      fc.infiniteStream(fc.boolean()),
      (name, port, dotted, ported, upper) => {
        const spelled = name
          .split('')
          .map((letter) => (upper.next().value ? letter.toUpperCase() : letter))
          .join('');
        assert.equal(normalizeHost(`${spelled}${dotted ? '.' : ''}${ported ? `:${port}` : ''}`), name);
      },
    ),
  );
});

test('any Host header normalises to a host name, a bracketed literal or null', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: 'binary' }),
        host.map((name) => `${name}/`),
        fc.stringMatching(/^[a-z.:@[\]_-]{0,20}$/),
      ),
      (text) => {
        const normal = normalizeHost(text);
        assert.ok(normal === null || HostName.safeParse(normal).success || /^\[[0-9a-f:.]+\]$/.test(normal));
        if (normal !== null) assert.equal(normalizeHost(normal), normal);
      },
    ),
  );
});

test('the longest prefix that covers a path is chosen, and only among those of the exact host', () => {
  const routes = fc.uniqueArray(
    fc.record({ host: fc.constantFrom('a.test', 'b.a.test', 'xa.test'), pathPrefix: prefix }),
    {
      selector: (route) => route.host + route.pathPrefix,
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(routes, fc.constantFrom('a.test', 'b.a.test', 'xa.test', 'test'), prefix, (all, name, path) => {
      const routes = all.map((domain, index) => ({ domain, upstream: { id: String(index) } }));
      const fitting = routes.filter(({ domain }) => {
        const segments = domain.pathPrefix === '/' ? [] : domain.pathPrefix.split('/').slice(1);
        return domain.host === name && segments.every((part, index) => path.split('/').slice(1)[index] === part);
      });
      const lengths = fitting.map(({ domain }) => domain.pathPrefix.length);
      const found = buildRouter(routes).of(name)?.find(path) ?? null;
      assert.equal(found?.domain.pathPrefix.length, lengths.length > 0 ? Math.max(...lengths) : undefined);
      if (found) assert.ok(fitting.includes(found));
    }),
  );
});

test('a prefix ends at a segment boundary', () => {
  assert.deepEqual(
    ['/a', '/a/', '/a/b', '/ab', '/', '/A', '/a%2Fb'].map((path) => covers('/a', path)),
    [true, true, true, false, false, false, false],
  );
});

test('one upstream may list a route twice; two upstreams may not share it', () => {
  const domain = { host: 'a.test', pathPrefix: '/' };
  const [one, other] = [{ id: '1' }, { id: '2' }];
  assert.ok(
    buildRouter([
      { domain, upstream: one },
      { domain, upstream: one },
    ])
      .of('a.test')
      ?.find('/'),
  );
  assert.throws(
    () =>
      buildRouter([
        { domain, upstream: one },
        { domain, upstream: other },
      ]),
    { code: 'ORK_ROUTE_TAKEN' },
  );
});

test('a wildcard covers one label, an exact host takes precedence, and a host without a dot has none', () => {
  const upstream = { id: '1' };
  const [star, exact] = [
    { domain: { host: '*.a.test', pathPrefix: '/' }, upstream },
    { domain: { host: 'b.a.test', pathPrefix: '/' }, upstream },
  ];
  const router = buildRouter([star, exact]);
  assert.equal(router.of('b.a.test')?.find('/'), exact);
  assert.equal(router.of('c.a.test')?.find('/'), star);
  for (const host of ['a.test', 'd.c.a.test', 'xa.test', 'test']) assert.equal(router.of(host), null, host);
});

test("a host's only route is marked, so that its path need not be checked", () => {
  const upstream = { id: '1' };
  const [root, deep] = ['/', '/a'].map((pathPrefix) => ({ domain: { host: 'a.test', pathPrefix }, upstream }));
  assert.ok(root && deep);
  assert.equal(buildRouter([root]).of('a.test')?.whole, root);
  assert.equal(buildRouter([deep]).of('a.test')?.whole, null);
  assert.equal(buildRouter([root, deep]).of('a.test')?.whole, null);
});
