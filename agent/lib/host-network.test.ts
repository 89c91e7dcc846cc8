import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDefaultInterface, parseNameServers } from './host-network.ts';

test('the interface of the default route is found among others', () => {
  const routes = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
  ].join('\n');
  assert.equal(parseDefaultInterface(routes), 'eth0');
  assert.equal(parseDefaultInterface(routes.split('\n').slice(0, 2).join('\n')), null);
});

test('IPv4 name servers are read, comments, IPv6 and nonsense are not', () => {
  const text =
    '# nameserver 1.1.1.1\nnameserver 10.0.0.53\n nameserver\t127.0.0.53\nnameserver fd00::1\nnameserver x;y\nsearch a\n';
  assert.deepEqual(parseNameServers(text), ['10.0.0.53', '127.0.0.53']);
});
