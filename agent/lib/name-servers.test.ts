import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { isOnThisHost, parseEngineNameServers, parseNameServers } from './name-servers.ts';

test('IPv4 name servers are parsed; comments, IPv6 and invalid lines are skipped', () => {
  const text =
    '# nameserver 1.1.1.1\nnameserver 10.0.0.53\n nameserver\t127.0.0.53\nnameserver fd00::1\nnameserver x;y\nsearch a\n';
  assert.deepEqual(parseNameServers(text), ['10.0.0.53', '127.0.0.53']);
});

test('the name servers of the engine come from its settings; unreadable settings have none', () => {
  assert.deepEqual(parseEngineNameServers('{"live-restore": true, "dns": ["9.9.9.9", "fd00::1"]}'), [
    '9.9.9.9',
    'fd00::1',
  ]);
  for (const text of ['{"live-restore": true}', '', '{"dns": "9.9.9.9"}', '{"dns": [']) {
    assert.deepEqual(parseEngineNameServers(text), [], text);
  }
});

test('a name server on loopback or on another address of this host is out of reach of builds', () => {
  const own = Object.values(networkInterfaces()).flatMap((list = []) => list.map(({ address }) => address));
  for (const address of ['127.0.0.53', ...own]) assert.equal(isOnThisHost(address), true, address);
  assert.equal(isOnThisHost('192.0.2.53'), false);
});
