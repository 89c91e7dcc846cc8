import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../config.ts';
import { ConnectionCaps } from './caps.ts';

const limits = { ...DEFAULT_LIMITS, connections: 4, connectionsPerAddress: 2 };

test('connections are limited per address and in total, and a closed one frees its place', () => {
  const caps = new ConnectionCaps(limits);
  assert.deepEqual(
    ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map((address) => caps.admit(address)),
    [true, true, false, true, true, false],
  );
  assert.deepEqual(caps.counts, { open: 4, refused: 2 });
  caps.left('10.0.0.1');
  assert.equal(caps.admit('10.0.0.1'), true);
});

test('the addresses of one IPv6 network count as one client', () => {
  const caps = new ConnectionCaps(limits);
  assert.deepEqual(
    ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8::3', '2001:db8:0:1::1'].map((address) => caps.admit(address)),
    [true, true, false, true],
  );
});
