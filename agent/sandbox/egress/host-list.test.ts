import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BuildHost } from '../../../protocol/build-hosts.ts';
import { makeHostList } from './host-list.ts';

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const name = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join('.'));

test('a name is admitted on ports 80 and 443, and a name with a port on that port only', () => {
  const list = makeHostList(['registry.example', 'git.example:8443']);
  const asked = ['registry.example', 'git.example'].flatMap((host) =>
    [80, 443, 8443].map((port) => list.admits(host, port)),
  );
  assert.deepEqual(asked, [true, true, false, false, false, true]);
});

test('a wildcard admits every name below it at a label boundary, but not the name itself', () => {
  const list = makeHostList(['*.example.org']);
  for (const host of ['a.example.org', 'a.b.example.org']) assert.ok(list.admits(host, 443), host);
  for (const host of ['example.org', 'badexample.org', 'example.org.evil.test', '.example.org.'])
    assert.ok(!list.admits(host, 443), host);
});

test('a name that is not in the list is never admitted, however similar to a listed one', () => {
  fc.assert(
    fc.property(name, name, label, (listed, other, extra) => {
      const list = makeHostList([listed]);
      const lookalikes = [other, extra + listed, `${listed}.${extra}`, `${extra}.${listed}`, listed.slice(1)];
      return lookalikes.every((host) => host === listed || !list.admits(host, 443));
    }),
  );
});

test('a wildcard admits exactly the names that end in a dot and its name', () => {
  fc.assert(
    fc.property(name, name, (suffix, host) => {
      const list = makeHostList([`*.${suffix}`]);
      return list.admits(`${host}.${suffix}`, 443) && list.admits(host, 443) === host.endsWith(`.${suffix}`);
    }),
  );
});

test('an address is admitted if it or its network is in the list, and never as the suffix of a name', () => {
  const list = makeHostList(['10.1.0.0/16', '192.168.7.9:5000', '*.example.org']);
  assert.ok(list.admits('10.1.2.3', 443) && list.admits('192.168.7.9', 5000));
  assert.ok(list.hasAddress('10.1.2.3') && list.hasAddress('192.168.7.9'));
  for (const host of ['10.2.0.1', '192.168.7.9', '::ffff:10.1.2.3', '10.1.2', '0xa.1.2.3', '167838211'])
    assert.ok(!list.admits(host, 443), host);
  assert.ok(!list.hasAddress('10.2.0.1') && !list.hasAddress('192.168.7.10'));
});

test('an entry is a name, a wildcard name or an IPv4 address or network, and nothing else', () => {
  const good = ['a.example', '*.a.example', 'a.example:8443', 'localname', '10.0.0.1', '10.0.0.1:80', '10.0.0.0/8'];
  for (const entry of good) assert.ok(BuildHost.safeParse(entry).success, entry);
  const bad = [
    '',
    '*',
    '*.',
    'https://a.example',
    'a.example/x',
    'A.example',
    'a..b',
    '.a',
    'a.',
    '-a.b',
    '*.*.a',
    'a.*.b',
  ];
  const numbers = [
    '*.9',
    '127.1',
    '256.1.1.1',
    '10.0.0.0/7',
    '10.0.0.0/33',
    'a.example:0',
    'a.example:65536',
    'a.1',
    '::1',
  ];
  for (const entry of [...bad, ...numbers, 'a.example\n']) assert.ok(!BuildHost.safeParse(entry).success, entry);
});
