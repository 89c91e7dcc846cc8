/** Private base images, with a real registry (Debian's docker-registry) inside a real sandbox's network. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { Engine } from '../lib/engine.ts';
import { pushImage } from '../registry/push.ts';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';
import { LOGIN_PASSWORD, TestRegistry } from '../../test/harness/registry.ts';

const PORT = 5000;
const HOST = `127.0.0.1:${PORT}`;
const PRIVATE = `${HOST}/team/base:1`;
const LOGIN: RegistryLogin = { host: HOST, username: 'ada', password: LOGIN_PASSWORD };

let builder: TestBuilder;
let registry: TestRegistry | undefined;

describe('private base images', () => {
  before(async () => {
    builder = await TestBuilder.start();
    await builder.build([`FROM ${DEBIAN}`, 'RUN true']); // starts the sandbox and its network
    const folder = join(builder.folder, 'registry');
    registry = await TestRegistry.start({ folder, port: PORT, namespacePath: builder.namespacePath });
    await builder.withEngine(fill);
  });
  after(async () => {
    await registry?.stop();
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

/** Pushes an image to the registry and removes it from the engine. */
const fill = (engine: Engine): Promise<unknown> =>
  pushImage(engine, {
    image: DEBIAN,
    repository: `${HOST}/team/base`,
    tag: '1',
    registries: [LOGIN],
    log: { write: () => undefined, line: () => undefined },
    signal: new AbortController().signal,
  });
