import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DEFAULT_URL, readConfig, removeLogin, writeLogin } from './config.ts';

let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'orkestr-config-'))));
afterEach(() => rmSync(home, { recursive: true }));

const read = (environ: Record<string, string> = {}) => readConfig({ XDG_CONFIG_HOME: home, ...environ });

test('without a login the default is the hub on this machine, without a token', () => {
  const config = read();
  assert.equal(config.url, DEFAULT_URL);
  assert.equal(config.token, undefined);
});

test('a login is stored in a file that only its owner can read, and logout removes it', () => {
  const { path } = read();
  writeLogin(path, { url: 'https://hub.example.com', token: 'secret' });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(read().token, 'secret');
  removeLogin(path);
  assert.equal(read().token, undefined);
});

test('environment variables override the file', () => {
  writeLogin(read().path, { url: 'https://hub.example.com', token: 'secret' });
  const config = read({ ORKESTR_URL: 'http://127.0.0.1:1/', ORKESTR_TOKEN: 'other' });
  assert.equal(config.url, 'http://127.0.0.1:1');
  assert.equal(config.token, 'other');
});

test('a stored token is never sent to a hub other than its own', () => {
  writeLogin(read().path, { url: 'https://hub.example.com', token: 'secret' });
  assert.equal(read({ ORKESTR_URL: 'https://elsewhere.example.com' }).token, undefined);
  assert.equal(read({ ORKESTR_URL: 'https://hub.example.com/' }).token, 'secret');
});

test('a damaged file and an invalid URL are reported by name', () => {
  assert.throws(() => read({ ORKESTR_URL: 'ftp://x' }), { code: 'ORK_CONFIG', message: /ORKESTR_URL/ });
  assert.throws(() => read({ ORKESTR_URL: 'https://user:pass@x.example.com' }), { code: 'ORK_CONFIG' });
  assert.throws(() => read({ ORKESTR_URL: 'localhost:7700' }), { message: /in full: https:\/\/localhost:7700$/ });
  const { path } = read();
  writeLogin(path, { url: 'https://hub.example.com', token: 'secret' });
  writeFileSync(path, '{');
  assert.throws(() => read(), { code: 'ORK_CONFIG', message: /damaged/ });
});
