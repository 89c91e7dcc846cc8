/** Error messages of engines and registries in several versions, and the codes derived from them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLogin, registryOf } from './login.ts';
import { makeProgress } from './progress.ts';
import { refusalOf } from './refusal.ts';

const IMAGE = 'registry.example:5000/team/app';

test('each refusal of a registry or an engine is mapped to its error code', () => {
  for (const [said, code] of [
    ['unauthorized: authentication required', 'ORK_REGISTRY_LOGIN'],
    ['no basic auth credentials', 'ORK_REGISTRY_LOGIN'],
    ['denied: requested access to the resource is denied', 'ORK_REGISTRY_DENIED'],
    ["pull access denied for x, repository does not exist or may require 'docker login'", 'ORK_REGISTRY_DENIED'],
    ['manifest for x@sha256:0 not found: manifest unknown: manifest unknown', 'ORK_IMAGE_GONE'],
    ['filesystem layer verification failed for digest sha256:0', 'ORK_IMAGE_DIGEST'],
    ['failed commit on ref "layer-sha256:0": unexpected commit digest sha256:1, expected sha256:0', 'ORK_IMAGE_DIGEST'],
    ['Get "https://x/v2/": dial tcp 192.0.2.1:443: connect: connection refused', 'ORK_REGISTRY_UNREACHABLE'],
    ['Get "https://x/v2/": dial tcp: lookup x on 192.0.2.1:53: no such host', 'ORK_REGISTRY_UNREACHABLE'],
    ['Get "https://x/v2/": x509: certificate signed by unknown authority', 'ORK_REGISTRY_UNREACHABLE'],
    ['Get "https://x/v2/": http: server gave HTTP response to HTTPS client', 'ORK_REGISTRY_UNREACHABLE'],
    ['received unexpected HTTP status: 500 Internal Server Error', 'ORK_REGISTRY_FAILED'],
  ] as const) {
    const error = refusalOf('The image could not be pulled', IMAGE, said);
    assert.equal(error.code, code, said);
    assert.match(error.message, /^The image could not be pulled: the registry registry\.example:5000 /);
    assert.deepEqual(error.evidence, [said]);
  }
});

test('progress is logged at most every five seconds, and each layer is counted once', () => {
  let now = 0;
  const lines: string[] = [];
  const progress = makeProgress('push', { line: (text) => void lines.push(text), write: () => undefined }, () => now);
  const pushing = (id: string, current: number, total?: number) =>
    progress.take({ id, status: 'Pushing', progressDetail: { current, ...(total !== undefined && { total }) } });
  progress.take({ id: 'a', status: 'Layer already exists' });
  for (let tenth = 0; tenth < 100; tenth += 1) {
    now = tenth * 100;
    pushing('b', tenth * 1024 * 1024, 100 * 1024 * 1024);
    pushing('c', 1024 * 1024);
  }
  progress.take({ id: 'b', status: 'Pushed' });
  progress.take({ id: 'b', status: 'Pushed' });
  progress.take({ id: 'c', status: 'Mounted from team/other' });
  assert.deepEqual(lines, ['pushing: 51 MiB of 101 MiB']);
  assert.deepEqual(progress.layers(), { all: 3, sent: 1 });
});

test('the registry of an image is its first part when that is a host, and Docker Hub has many names', () => {
  for (const [image, host] of [
    ['node:24', 'docker.io'],
    ['team/app', 'docker.io'],
    ['index.docker.io/team/app', 'docker.io'],
    ['registry.example.com/app', 'registry.example.com'],
    ['registry.example.com:5000/a/b@sha256:0', 'registry.example.com:5000'],
    ['localhost/app', 'localhost'],
  ] as const) {
    assert.equal(registryOf(image), host);
  }
  const hub = { host: 'docker.io', username: 'a', password: 'b' };
  assert.equal(findLogin([hub], 'registry-1.docker.io'), hub);
  assert.equal(findLogin([hub], 'docker.io.example.com'), undefined);
});
