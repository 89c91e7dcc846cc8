/** With a registry that speaks TLS, and an engine's socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Image, Release } from '../../../protocol/steps.ts';
import { makeCertificate } from '../../../test/harness/certificates.ts';
import { scripted } from '../../deployment/test-ports.ts';
import type { LiveRecord } from '../../deployment/records.ts';
import { BaseImages } from '../../detect/base-images.ts';
import { exec as run } from '../../lib/exec.ts';
import type { Exec } from '../../lib/exec.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { askedEngine } from '../engine-facts.ts';
import { HOST_PLACES } from '../subject.ts';
import type { Subject, SubjectConfig } from '../subject.ts';
import { registry } from './registry.ts';

/** Nothing listens there. */
const NOWHERE = '127.0.0.1:1';
const SKIPPED = 'this host has all base images, and its apps use no registry';

function stopAfter(t: TestContext, server: Server): void {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

/** A registry that wants a login, with a certificate of its own. @returns its name, and the certificate's file */
async function startRegistry(t: TestContext): Promise<{ name: string; certFile: string }> {
  const { cert, key, certFile } = await makeCertificate(temporaryFolder(t), 'registry', ['IP:127.0.0.1']);
  const server = createSecureServer({ cert, key }, (request, response) =>
    response.writeHead(request.url === '/v2/' ? 401 : 404).end(),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stopAfter(t, server);
  return { name: `127.0.0.1:${(server.address() as AddressInfo).port}`, certFile };
}

/** An engine with these images. @returns its socket */
async function engineWith(t: TestContext, images: readonly string[]): Promise<string> {
  const socket = join(temporaryFolder(t), 'docker.sock');
  const server = createServer(({ url = '' }, response) => {
    const isThere = images.some((name) => url === `/images/${name}/json`);
    response.writeHead(isThere ? 200 : 404).end(JSON.stringify(isThere ? { Id: 'sha256:0' } : { message: 'no such' }));
  });
  server.listen(socket);
  await once(server, 'listening');
  stopAfter(t, server);
  return socket;
}

const live = (image: Partial<Image>): LiveRecord =>
  scripted<LiveRecord>('live', { release: scripted<Release>('release', { image: scripted<Image>('image', image) }) });
const pushedTo = (name: string): LiveRecord => live({ registryReference: `${name}/shop:1`, baseDigests: {} });
const builtFrom = (name: string): LiveRecord => live({ registryReference: undefined, baseDigests: { [name]: 'x' } });

interface Given {
  readonly root?: string;
  readonly engine: string;
  readonly baseImages?: Partial<BaseImages>;
  readonly live?: readonly LiveRecord[];
  readonly exec?: Exec;
}

/** What the check tells: each problem with its host and evidence, or why it is skipped. */
async function told({
  root = '/nonexistent',
  engine,
  baseImages,
  live: apps = [],
  exec = run,
}: Given): Promise<unknown> {
  const subject = scripted<Subject>('subject', {
    config: scripted<SubjectConfig>('config', { baseImages: { ...ALL_HERE, ...baseImages } }),
    places: { ...HOST_PLACES, root },
    exec,
    engine: askedEngine(engine, 10_000),
    journal: async () => ({ live: apps, deployments: [], begun: new Map(), projectIds: [], outbox: 0 }),
  });
  const outcome = await registry.run(subject, AbortSignal.timeout(10_000));
  if ('skipped' in outcome) return outcome.skipped;
  return outcome.findings.map(({ problem, values, evidence = [] }) => [
    problem,
    values?.['host'],
    ...evidence.slice(1),
  ]);
}

/** Every kind has an image that the engine has. */
const ALL_HERE = BaseImages.parse(
  Object.fromEntries(Object.keys(BaseImages.parse({})).map((kind) => [kind, 'base:1'] as const)),
);

test('a registry that does not answer matters only for base images that this host lacks', async (t) => {
  const engine = await engineWith(t, ['base:1', `${NOWHERE}/go:1`]);
  assert.equal(await told({ engine, baseImages: { go: `${NOWHERE}/go:1` } }), SKIPPED);
  assert.deepEqual(await told({ engine, baseImages: { go: `${NOWHERE}/go:2`, rust: `${NOWHERE}/rust:1` } }), [
    ['unreachable', NOWHERE, `not on this host: ${NOWHERE}/go:2, ${NOWHERE}/rust:1`],
  ]);
  assert.deepEqual(await told({ engine, live: [builtFrom(`${NOWHERE}/team/base:1`)] }), [
    ['unreachable', NOWHERE, `not on this host: ${NOWHERE}/team/base:1`],
  ]);
});

test('base images of an app that another host has built are not needed here', async (t) => {
  const { name, certFile } = await startRegistry(t);
  const root = temporaryFolder(t);
  const folder = join(root, 'etc/docker/certs.d', name);
  mkdirSync(folder, { recursive: true });
  copyFileSync(certFile, join(folder, 'ca.crt'));
  const builtElsewhere = live({ registryReference: `${name}/shop:1`, baseDigests: { [`${NOWHERE}/base:1`]: 'x' } });
  assert.deepEqual(await told({ root, engine: await engineWith(t, ['base:1']), live: [builtElsewhere] }), []);
});

test('images without a registry in their name are those of Docker Hub', async (t) => {
  const engine = await engineWith(t, ['base:1']);
  const nobodyKnows: Exec = async () => ({ exitCode: 2, stdout: '', stderr: '', timedOut: false });
  assert.deepEqual(await told({ engine, baseImages: { node: 'node:26-trixie-slim' }, exec: nobodyKnows }), [
    ['unreachable', 'registry-1.docker.io', 'not on this host: node:26-trixie-slim'],
  ]);
});

test('the registry of live apps is asked, whatever images this host has, with the authorities that Docker trusts', async (t) => {
  const { name, certFile } = await startRegistry(t);
  const engine = await engineWith(t, ['base:1']);
  assert.deepEqual(await told({ engine, live: [pushedTo(NOWHERE)] }), [['apps-unreachable', NOWHERE]]);
  assert.deepEqual(await told({ engine, live: [pushedTo(name)] }), [['apps-unreachable', name]]);
  const root = temporaryFolder(t);
  const folder = join(root, 'etc/docker/certs.d', name);
  mkdirSync(folder, { recursive: true });
  copyFileSync(certFile, join(folder, 'ca.crt'));
  assert.deepEqual(await told({ root, engine, live: [pushedTo(name)] }), []);
});
