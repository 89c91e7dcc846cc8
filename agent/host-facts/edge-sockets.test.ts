import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../lib/test-folder.ts';
import { endsTlsBefore, givenAddresses } from './edge-sockets.ts';

function rootWith(t: TestContext, ...addresses: string[]): string {
  const root = temporaryFolder(t);
  const folder = join(root, 'etc/systemd/system/orkestr-proxy-tls.socket.d');
  mkdirSync(folder, { recursive: true });
  const lines = addresses.map((address) => `ListenStream = ${address}\n`);
  writeFileSync(join(folder, 'zz-listen.conf'), `[Socket]\nListenStream=\n# ListenStream=1\n${lines.join('')}`);
  return root;
}

test('the addresses of drop-ins are returned without the line that resets those of the unit', (t) => {
  const root = rootWith(t, '127.0.0.1:8443', '[::1]:8443');
  assert.deepEqual(givenAddresses(root, 'orkestr-proxy-tls.socket'), ['127.0.0.1:8443', '[::1]:8443']);
  assert.deepEqual(givenAddresses(root, 'orkestr-proxy.socket'), []);
});

test('TLS terminates before the proxy if only this host can reach the proxy', (t) => {
  const ends = (...addresses: string[]): boolean => endsTlsBefore(rootWith(t, ...addresses));
  assert.deepEqual([ends(), ends('127.0.0.1:8443'), ends('[::1]:8443')], [false, true, true]);
  assert.deepEqual([ends('8443'), ends('127.0.0.1:8443', '192.0.2.2:443')], [false, false]);
  assert.equal(endsTlsBefore(temporaryFolder(t)), false);
});
