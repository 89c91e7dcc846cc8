import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig, successorEnvironment } from './config.ts';

test('without settings the defaults apply', () => {
  const config = readConfig({}, 1);
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8080 });
  assert.deepEqual([config.adminSocket, config.stateDirectory], ['/run/orkestr/proxy.sock', '/var/lib/orkestr/proxy']);
  assert.deepEqual(config.inherited, []);
});

test('IPv4 and IPv6 addresses are parsed', () => {
  const listen = (text: string) => readConfig({ ORKESTR_PROXY_LISTEN: text }, 1).listen;
  assert.deepEqual(listen('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(listen('[::]:443'), { host: '::', port: 443 });
});

test('inherited descriptors count only if LISTEN_PID is this process', () => {
  const [first, second] = [3, 4].map((fd) => ({ fd, kind: 'http' }));
  assert.deepEqual(readConfig({ LISTEN_FDS: '2', LISTEN_PID: '7' }, 7).inherited, [first, second]);
  const named = { LISTEN_FDS: '3', LISTEN_PID: '7', LISTEN_FDNAMES: 'orkestr.socket:https:admin' };
  assert.deepEqual(
    readConfig(named, 7).inherited.map(({ kind }) => kind),
    ['http', 'https', 'admin'],
  );
  assert.deepEqual(readConfig({ LISTEN_FDS: '2', LISTEN_PID: '8' }, 7).inherited, []);
  assert.deepEqual(readConfig({ LISTEN_FDS: '2' }, 7).inherited, []);
});

test('a successor inherits one HTTP and one HTTPS socket per worker at the maximum, and the admin socket', () => {
  const { workers } = readConfig({ ORKESTR_PROXY_WORKERS: '64' }, 1);
  const purposes = (['http', 'https'] as const).flatMap((kind) => Array.from({ length: workers }, () => kind));
  const { inherited } = readConfig(successorEnvironment([...purposes, 'admin'], {}), 1);
  assert.deepEqual(
    inherited.map(({ kind }) => kind),
    [...purposes, 'admin'],
  );
});

test('the public addresses of the host are parsed for ACME', () => {
  const ORKESTR_PROXY_ACME = 'https://ca.example.com/directory';
  const of = (text: string) => readConfig({ ORKESTR_PROXY_ACME, ORKESTR_PROXY_PUBLIC: text }, 1).acme?.publicAddresses;
  assert.deepEqual(of('203.0.113.7, 2001:db8::7'), ['203.0.113.7', '2001:db8::7']);
  assert.deepEqual(of(''), []);
});

for (const [variable, value] of [
  ['ORKESTR_PROXY_LISTEN', '8080'],
  ['ORKESTR_PROXY_LISTEN', '0.0.0.0:70000'],
  ['ORKESTR_PROXY_LISTEN', '0.0.0.0:'],
  ['ORKESTR_PROXY_SOCKET', 'relative.sock'],
  ['ORKESTR_PROXY_SOCKET', `/${'x'.repeat(100)}`],
  ['ORKESTR_PROXY_STATE', 'relative'],
  ['ORKESTR_LOG_LEVEL', 'loud'],
  ['ORKESTR_PROXY_PUBLIC', 'hub.example.com'],
  ['ORKESTR_PROXY_PUBLIC', '203.0.113.0/24'],
] as const) {
  test(`${variable}=${value.slice(0, 20)} is refused by its name`, () => {
    assert.throws(
      () => readConfig({ [variable]: value }, 1),
      (error: { code: string; message: string }) => error.code === 'ORK_CONFIG' && error.message.includes(variable),
    );
  });
}

test("the successor is started by the release's launcher, unless that was given as a relative path", () => {
  const launcher = '/opt/orkestr/current/bin/orkestr-proxy';
  assert.equal(readConfig({ ORKESTR_LAUNCHER: launcher }, 1).launcher, launcher);
  assert.equal(readConfig({ ORKESTR_LAUNCHER: './bin/orkestr-proxy' }, 1).launcher, null);
  assert.equal(readConfig({}, 1).launcher, null);
});
