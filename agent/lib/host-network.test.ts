import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networksAround, parsePeers } from './host-network.ts';

test('peers are parsed from the output of ss, for IPv4 and for IPv4 mapped in IPv6', () => {
  const text = [
    'ESTAB 0      0      172.16.1.1:32826 172.16.1.102:80   ',
    'ESTAB 0      0      [::ffff:10.0.0.5]:443 [::ffff:10.9.0.7]:50122',
    'ESTAB 0      0      [2001:db8::1]:443 [2001:db8::2]:50122',
    'ESTAB 0      0      10.0.0.5%eth0:22 192.0.2.9:4022',
  ];
  assert.deepEqual(parsePeers(`${text.join('\n')}\n`), ['172.16.1.102', '10.9.0.7', '192.0.2.9']);
});

test('the networks around this host include those of its own addresses', async () => {
  const around = await networksAround();
  assert.ok(around.includes('127.0.0.1/8'), around.join());
  assert.ok(
    around.every((one) => /^\d+(?:\.\d+){3}(?:\/\d+)?$/.test(one)),
    around.join(),
  );
});
