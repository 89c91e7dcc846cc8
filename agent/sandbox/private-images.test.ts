/** Private base images, with a real registry (Debian's docker-registry) inside of a real sandbox's network. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { Engine } from '../lib/engine.ts';
import { readAnswer } from '../lib/engine-answer.ts';
import { registryOf, findLogin } from '../registry/login.ts';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';

const HOST = '127.0.0.1:5000';
const PRIVATE = `${HOST}/team/base:1`;
const LOGIN: RegistryLogin = { host: HOST, username: 'ada', password: 'correct horse battery' };
/** Of that password: bcrypt, as `htpasswd -nbB` writes it. */
const HTPASSWD = 'ada:$2y$05$jgkWPtlrZkSRhXnzLcvvXOIqHq/7TGxJ25gy5.B0Ji5zFKGpP5caK\n';

let builder: TestBuilder;
let registry: ChildProcess | undefined;

describe('private base images', () => {
  before(async () => {
    builder = await TestBuilder.start();
    await builder.build([`FROM ${DEBIAN}`, 'RUN true']); // so that the sandbox and its network are there
    registry = await startRegistry();
    await builder.withEngine(fill);
  });
  after(async () => {
    registry?.kill('SIGKILL');
    await builder.stop();
  });

  const lines = (): string[] => [`FROM ${PRIVATE}`, `RUN echo ${randomUUID()}`];

  test('without a login, and with a wrong one, it is not to be had, and the message says what to do', async () => {
    for (const registries of [[], [{ ...LOGIN, password: 'wrong' }], [{ ...LOGIN, host: 'other.example' }]]) {
      const error = await builder.failure(lines(), { registries });
      assert.equal(error.code, 'ORK_BASE_IMAGE');
      assert.match(error.message, /127\.0\.0\.1:5000\/team\/base:1.*orkestr registry add/);
      assert.match(error.evidence.join('\n'), /no basic auth|unauthorized|denied/i);
      assert.ok(!JSON.stringify(error.evidence).includes('wrong'));
    }
  });

  test('with the login it is pulled and built from, again and again, and the log has no password', async () => {
    for (let time = 0; time < 2; time += 1) {
      const { text, image } = await builder.build(lines(), { registries: [LOGIN] });
      assert.match(text, /Pulling base image .* with the login for 127\.0\.0\.1:5000/);
      assert.ok(!text.includes(LOGIN.password));
      assert.match(image.baseImages[PRIVATE] ?? '', /^sha256:/);
    }
  });

  test('a project without the login does not get it because another one had it', async () => {
    await builder.build(lines(), { registries: [LOGIN], projectId: randomUUID() });
    const error = await builder.failure(lines(), { projectId: randomUUID() });
    assert.equal(error.code, 'ORK_BASE_IMAGE');
  });
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

async function startRegistry(): Promise<ChildProcess> {
  const [config, htpasswd] = [join(builder.folder, 'registry.json'), join(builder.folder, 'htpasswd')];
  await writeFile(htpasswd, HTPASSWD);
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn' },
      storage: { filesystem: { rootdirectory: join(builder.folder, 'registry') } },
      http: { addr: HOST },
      auth: { htpasswd: { realm: 'test', path: htpasswd } },
    }),
  );
  // Its own loopback: engines speak plain HTTP with 127.0.0.0/8 only.
  const child = spawn('nsenter', [`--net=${builder.namespacePath}`, '--', 'docker-registry', 'serve', config], {
    stdio: 'ignore',
  });
  await once(child, 'spawn');
  return child;
}

/** Pushes an image there and forgets it. */
async function fill(engine: Engine): Promise<void> {
  const { host: serveraddress, username, password } = LOGIN;
  const [repo, tag] = [PRIVATE.slice(0, -2), '1'];
  await engine.call('tag', (docker) => docker.getImage(DEBIAN).tag({ repo, tag }));
  for (let tries = 0; ; tries += 1) {
    const { error } = await engine.call('push', async (docker) =>
      readAnswer(await docker.getImage(PRIVATE).push({ authconfig: { serveraddress, username, password } })),
    );
    if (error === null) break;
    assert.ok(tries < 50 && error.includes('connection refused'), error);
    await delay(100);
  }
  await engine.call('forget', (docker) => docker.getImage(PRIVATE).remove());
}
