import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDefaultInterfaces } from './guest-bridges.ts';

test('the interface of the default route is found among others', () => {
  const routes = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
  ].join('\n');
  assert.deepEqual(parseDefaultInterfaces(routes), ['eth0']);
  assert.deepEqual(parseDefaultInterfaces(routes.split('\n').slice(0, 2).join('\n')), []);
});
