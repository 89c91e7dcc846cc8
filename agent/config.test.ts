import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../protocol/errors.ts';
import { readConfig } from './config.ts';
import { temporaryFolder } from './lib/test-folder.ts';

const refused = (naming: RegExp) => (error: unknown) =>
  error instanceof OrkestrError && error.code === 'ORK_CONFIG' && naming.test(error.message);

test('the configuration without variables has the defaults of a packaged host', () => {
  const config = readConfig({});
  assert.equal(config.stateFolder, '/var/lib/orkestr/agent');
  assert.equal(config.agentSocket, '/run/orkestr/agent.sock');
  assert.equal(config.proxySocket, '/run/orkestr/proxy.sock');
  assert.equal(config.dockerSocket, '/var/run/docker.sock');
  assert.equal(config.channel, 'stable');
  assert.equal(config.buildIdleSeconds, null);
  assert.equal(config.failpoint, null);
  assert.equal(config.baseImages.node, 'node:26-trixie-slim');
});

test('an empty variable counts as not set', () => {
  assert.equal(readConfig({ ORKESTR_AGENT_STATE: '' }).stateFolder, '/var/lib/orkestr/agent');
});

test('a host with memory to spare may keep its build engines for longer', () => {
  assert.equal(readConfig({ ORKESTR_BUILD_IDLE_SECONDS: '86400' }).buildIdleSeconds, 86_400);
});

test('apps reach no port of the host unless its owner allows it', () => {
  assert.equal(readConfig({}).appsReachEdge, false);
  assert.equal(readConfig({ ORKESTR_APPS_REACH_EDGE: '1' }).appsReachEdge, true);
});

test('an invalid setting is refused with an error that names it', (t) => {
  assert.throws(() => readConfig({ ORKESTR_LOG_LEVEL: 'loud' }), refused(/ORKESTR_LOG_LEVEL/));
  assert.throws(() => readConfig({ ORKESTR_CHANNEL: '../stable' }), refused(/ORKESTR_CHANNEL/));
  assert.throws(() => readConfig({ ORKESTR_BUILD_IDLE_SECONDS: '0' }), refused(/ORKESTR_BUILD_IDLE_SECONDS/));
  assert.throws(() => readConfig({ ORKESTR_APPS_REACH_EDGE: 'yes' }), refused(/ORKESTR_APPS_REACH_EDGE: 0 or 1/));
  assert.throws(() => readConfig({ ORKESTR_FAILPOINT: 'build:sometime' }), refused(/ORKESTR_FAILPOINT/));
  assert.throws(() => readConfig({ ORKESTR_AGENT_RUN: `/run/${'x'.repeat(100)}` }), refused(/ORKESTR_AGENT_RUN/));
  const path = join(temporaryFolder(t), 'images.json');
  assert.throws(() => readConfig({ ORKESTR_BASE_IMAGES: path }), refused(/ORKESTR_BASE_IMAGES/));
  writeFileSync(path, '{"node":"--privileged"}');
  assert.throws(() => readConfig({ ORKESTR_BASE_IMAGES: path }), refused(/ORKESTR_BASE_IMAGES/));
});

test('a host may point individual base images at its own mirror', (t) => {
  const path = join(temporaryFolder(t), 'images.json');
  writeFileSync(path, '{"node":"mirror.example.com/node:24"}');
  const { baseImages } = readConfig({ ORKESTR_BASE_IMAGES: path });
  assert.equal(baseImages.node, 'mirror.example.com/node:24');
  assert.equal(baseImages.go, 'golang:1.27-trixie');
});
