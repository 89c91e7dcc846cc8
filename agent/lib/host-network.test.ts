import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNameServers } from './host-network.ts';

test('IPv4 name servers are read, comments, IPv6 and nonsense are not', () => {
  const text =
    '# nameserver 1.1.1.1\nnameserver 10.0.0.53\n nameserver\t127.0.0.53\nnameserver fd00::1\nnameserver x;y\nsearch a\n';
  assert.deepEqual(parseNameServers(text), ['10.0.0.53', '127.0.0.53']);
});
