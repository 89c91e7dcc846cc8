import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HostName } from '../protocol/ids.ts';
import { buildRouter, covers, normalizeHost } from './router.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const segment = fc.stringMatching(/^[a-z0-9]{1,3}$/);
const prefix = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);

test('a host is found in any spelling of case, port and final dot', () => {
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

test('whatever a Host header holds, its normal form is a host name, a bracketed literal or nothing', () => {
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

test('of all the prefixes that cover a path the longest is taken, and only those of that very host', () => {
  const routes = fc.uniqueArray(
    fc.record({ host: fc.constantFrom('a.test', 'b.a.test', 'xa.test'), pathPrefix: prefix }),
    {
      selector: (route) => route.host + route.pathPrefix,
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(routes, fc.constantFrom('a.test', 'b.a.test', 'xa.test', 'test'), prefix, (all, name, path) => {
      const upstreams = all.map((route, index) => ({ id: String(index), routes: [route] }));
      const fitting = upstreams.filter(({ routes: [route] }) => {
        const segments = route?.pathPrefix === '/' ? [] : (route?.pathPrefix.split('/').slice(1) ?? []);
        return route?.host === name && segments.every((part, index) => path.split('/').slice(1)[index] === part);
      });
      const lengths = fitting.map(({ routes: [route] }) => route?.pathPrefix.length ?? 0);
      const found = buildRouter(upstreams).find(name, path);
      assert.equal(found?.routes[0]?.pathPrefix.length, lengths.length > 0 ? Math.max(...lengths) : undefined);
      if (found) assert.ok(fitting.includes(found));
    }),
  );
});

test('a prefix ends at a segment border', () => {
  assert.deepEqual(
    ['/a', '/a/', '/a/b', '/ab', '/', '/A', '/a%2Fb'].map((path) => covers('/a', path)),
    [true, true, true, false, false, false, false],
  );
});

test('one upstream may say a route twice, two may not', () => {
  const route = { host: 'a.test', pathPrefix: '/' };
  assert.ok(buildRouter([{ id: '1', routes: [route, route] }]).find('a.test', '/'));
  assert.throws(
    () =>
      buildRouter([
        { id: '1', routes: [route] },
        { id: '2', routes: [route] },
      ]),
    { code: 'ORK_ROUTE_TAKEN' },
  );
});
