import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { makeRanges } from './allow-list.ts';
import { readClient } from './client-address.ts';

const TRUSTED = makeRanges(['10.0.0.0/8', '2001:db8:f::/48']);
const PEER = '10.0.0.1';

function clientOf(fields: Record<string, string>, address = PEER): string {
  return readClient({ address, secure: false }, (name) => fields[name], TRUSTED).address;
}
const byFor = (value: string): string => clientOf({ 'x-forwarded-for': value });
const byForwarded = (value: string): string => clientOf({ forwarded: value });

test('an untrusted peer is the client, whatever it claims', () => {
  const claims = { 'x-forwarded-for': '1.1.1.1', forwarded: 'for=1.1.1.1;proto=https', 'x-forwarded-proto': 'https' };
  const peer = { address: '198.51.100.7', secure: false };
  assert.deepEqual(
    readClient(peer, (name) => claims[name as keyof typeof claims], TRUSTED),
    peer,
  );
  assert.deepEqual(
    readClient({ ...peer, address: PEER }, (name) => claims[name as keyof typeof claims], null),
    {
      ...peer,
      address: PEER,
    },
  );
});

test('the client is the rightmost untrusted address, so that nobody can prepend another', () => {
  assert.equal(byFor('1.1.1.1'), '1.1.1.1');
  assert.equal(byFor('6.6.6.6, 1.1.1.1'), '1.1.1.1');
  assert.equal(byFor('6.6.6.6, 1.1.1.1, 10.9.9.9'), '1.1.1.1');
  assert.equal(byFor('6.6.6.6,1.1.1.1 ,\t10.9.9.9, 2001:db8:f::3'), '1.1.1.1');
  // All are trusted, so the farthest one is the client.
  assert.equal(byFor('10.3.3.3, 10.2.2.2'), '10.3.3.3');
});

test('a value that is not an address invalidates everything before it', () => {
  assert.equal(byFor('1.1.1.1, unknown'), PEER);
  assert.equal(byFor('1.1.1.1, _hidden, 10.2.2.2'), '10.2.2.2');
  assert.equal(byFor('1.1.1.1, 999.1.1.1'), PEER);
  assert.equal(byFor(''), PEER);
});

test('all notations of addresses and ports in both fields are parsed', () => {
  assert.equal(byFor('1.1.1.1:4711'), '1.1.1.1');
  assert.equal(byFor('[2001:DB8::1]:4711'), '2001:db8::1');
  assert.equal(byFor('::ffff:1.2.3.4'), '1.2.3.4');
  assert.equal(byForwarded('for=1.1.1.1;proto=http;by=10.0.0.1'), '1.1.1.1');
  assert.equal(byForwarded('for=6.6.6.6, For="[2001:db8::1]:80"; proto=https, for=10.2.2.2'), '2001:db8::1');
  assert.equal(byForwarded('for=1.1.1.1, proto=https'), PEER);
});

test('Forwarded is read only without X-Forwarded-For', () => {
  assert.equal(clientOf({ 'x-forwarded-for': '1.1.1.1', forwarded: 'for=6.6.6.6' }), '1.1.1.1');
});

test('the scheme is the last one that a trusted peer names, else that of the connection', () => {
  const secure = (fields: Record<string, string>, own = false): boolean =>
    readClient({ address: PEER, secure: own }, (name) => fields[name], TRUSTED).secure;
  assert.equal(secure({ 'x-forwarded-proto': 'http, HTTPS' }), true);
  assert.equal(secure({ 'x-forwarded-proto': 'https, http' }, true), false);
  assert.equal(secure({ forwarded: 'for=1.1.1.1;proto=https' }), true);
  assert.equal(secure({ 'x-forwarded-proto': 'gopher' }, true), true);
  assert.equal(secure({}), false);
});

test('for any field values the client is a valid address, and addresses to its left do not change it', () => {
  const rubbish = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('unknown', '"', '[::1', '10.0.0.5'));
  fc.assert(
    fc.property(fc.array(rubbish), fc.ipV4(), (before, client) => {
      assert.notEqual(isIP(byFor(before.join(','))), 0);
      assert.notEqual(isIP(byForwarded(before.map((text) => `for=${text}`).join(';'))), 0);
      fc.pre(!TRUSTED.has(client));
      assert.equal(byFor([...before, client, '10.2.2.2'].join(',')), client);
    }),
  );
});
