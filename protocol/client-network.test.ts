import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalAddress, clientNetwork, plainAddress } from './client-network.ts';

test('an address has one canonical text', () => {
  assert.equal(plainAddress('::1'), '::1');
  assert.equal(canonicalAddress('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
  assert.equal(canonicalAddress('fe80::1%eth0'), 'fe80::1');
  assert.equal(canonicalAddress('::ffff:102:304'), '1.2.3.4');
  assert.equal(canonicalAddress('1.2.3'), null);
});

test('a network is an IPv4 address or the first 64 bits of an IPv6 address', () => {
  const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, groups, (one, other) => {
      const text = (parts: readonly number[]): string =>
        canonicalAddress(parts.map((part) => part.toString(16)).join(':')) ?? '';
      fc.pre(text(one).includes(':'));
      const sameNetwork = text([...one.slice(0, 4), ...other.slice(4)]);
      assert.equal(
        clientNetwork(text(one)),
        one
          .slice(0, 4)
          .map((part) => part.toString(16))
          .join(':'),
      );
      if (sameNetwork.includes(':')) assert.equal(clientNetwork(sameNetwork), clientNetwork(text(one)));
    }),
  );
  assert.equal(clientNetwork('::1'), '0:0:0:0');
  assert.equal(clientNetwork('192.0.2.1'), '192.0.2.1');
  assert.equal(clientNetwork(''), '');
});
