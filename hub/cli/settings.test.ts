import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from './settings.ts';

test('options become a tree of settings; --setting values are parsed as JSON, else taken as text', () => {
  const settings = settingsOf({
    memory: '512',
    cpus: '0.5',
    healthPath: '/healthz',
    domain: ['a.example.com', 'b.example.com'],
    setting: ['limits.pids=64', 'startCommand=node server.js', 'port=null', 'readOnlyRoot=true', 'build={"cpus":2}'],
  });
  assert.deepEqual(settings, {
    limits: { memoryMiB: 512, cpus: 0.5, pids: 64 },
    healthCheck: { kind: 'http', path: '/healthz' },
    domains: [{ host: 'a.example.com' }, { host: 'b.example.com' }],
    startCommand: 'node server.js',
    port: null,
    readOnlyRoot: true,
    build: { cpus: 2 },
  });
});

test('a domain may be a wildcard, and may have a path, which --strip-prefix hides from the app', () => {
  const domain = ['*.example.com', 'example.com/shop'];
  assert.deepEqual(settingsOf({ domain }).domains, [
    { host: '*.example.com' },
    { host: 'example.com', pathPrefix: '/shop' },
  ]);
  assert.deepEqual(settingsOf({ domain, stripPrefix: true }).domains, [
    { host: '*.example.com' },
    { host: 'example.com', pathPrefix: '/shop', stripPrefix: true },
  ]);
});

test('an internationalised domain is sent to the hub in punycode', () => {
  const domain = ['müller.de', '*.Bücher.example', 'müller.de/shop', 'A.example.com', 'ü ü.de'];
  assert.deepEqual(settingsOf({ domain }).domains, [
    { host: 'xn--mller-kva.de' },
    { host: '*.xn--bcher-kva.example' },
    { host: 'xn--mller-kva.de', pathPrefix: '/shop' },
    { host: 'A.example.com' },
    { host: 'ü ü.de' },
  ]);
});

test('options that are not given are not sent, so the defaults of the hub apply', () => {
  assert.deepEqual(settingsOf({}), {});
});

for (const setting of ['limits', '=1', '__proto__.x=1', 'a..b=1', '.a=1']) {
  test(`--setting ${setting} is refused`, () => {
    assert.throws(() => settingsOf({ setting: [setting] }), { code: 'ORK_INVALID' });
  });
}

test('invalid numbers are refused', () => {
  assert.throws(() => settingsOf({ memory: '1e3' }), { code: 'ORK_INVALID' });
  assert.throws(() => settingsOf({ cpus: 'two' }), { code: 'ORK_INVALID' });
});

test('--worker asks for a container that runs, and for no domain', () => {
  assert.deepEqual(settingsOf({ worker: true, start: 'sidekiq', setting: ['healthCheck.runSeconds=30'] }), {
    startCommand: 'sidekiq',
    healthCheck: { kind: 'running', runSeconds: 30 },
    domains: [],
  });
  assert.throws(() => settingsOf({ worker: true, domain: ['a.example.com'] }), { code: 'ORK_INVALID' });
  assert.throws(() => settingsOf({ worker: true, healthPath: '/' }), { code: 'ORK_INVALID' });
  assert.throws(() => settingsOf({ worker: true, port: '3000' }), { code: 'ORK_INVALID' });
});
