/** Base images from a registry, a real one (Debian's docker-registry) inside a real sandbox's network. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RegistryLogin } from '../../../protocol/job.ts';
import type { Engine } from '../../lib/engine.ts';
import { pushImage } from '../../registry/push.ts';
import { AskedTags } from './asked-tags.ts';
import { supplyImages } from './supply.ts';
import { DEBIAN, TestBuilder } from '../../../test/harness/builder.ts';
import { LOGIN_PASSWORD, TestRegistry } from '../../../test/harness/registry.ts';

const PORT = 5000;
const HOST = `127.0.0.1:${PORT}`;
const PUBLIC_PORT = 5001;
const DAY_MS = 24 * 60 * 60_000;
const PRIVATE = `${HOST}/team/base:1`;
const LOGIN: RegistryLogin = { host: HOST, username: 'ada', password: LOGIN_PASSWORD };

let builder: TestBuilder;
let registry: TestRegistry | undefined;

describe('base images from a registry', () => {
  before(async () => {
    builder = await TestBuilder.start();
    await builder.build([`FROM ${DEBIAN}`, 'RUN true']); // starts the sandbox and its network
    const folder = join(builder.folder, 'registry');
    registry = await TestRegistry.start({ folder, port: PORT, namespacePath: builder.namespacePath });
    await builder.withEngine((engine) => publish(engine, DEBIAN, `${HOST}/team/base`));
  });
  after(async () => {
    await registry?.stop();
    await builder.stop();
  });

  const lines = (): string[] => [`FROM ${PRIVATE}`, `RUN echo ${randomUUID()}`];

  test('private ones fail to pull without a login or with a wrong one, and the message says what to do', async () => {
    for (const registries of [[], [{ ...LOGIN, password: 'wrong' }], [{ ...LOGIN, host: 'other.example' }]]) {
      const error = await builder.failure(lines(), { registries });
      assert.equal(error.code, 'ORK_BASE_IMAGE');
      assert.match(error.message, /127\.0\.0\.1:5000\/team\/base:1.*orkestr registry add/);
      assert.match(error.evidence.join('\n'), /no basic auth|unauthorized|denied/i);
      assert.ok(!JSON.stringify(error.evidence).includes('wrong'));
    }
  });

  test('private ones are pulled and built from with the login, repeatedly, and the log has no password', async () => {
    for (let time = 0; time < 2; time += 1) {
      const { text, image } = await builder.build(lines(), { registries: [LOGIN] });
      assert.match(text, /Pulling base image .* with the login for 127\.0\.0\.1:5000/);
      assert.ok(!text.includes(LOGIN.password));
      assert.match(image.baseImages[PRIVATE] ?? '', /^sha256:/);
    }
  });

  test('private ones stay out of reach of a project without the login, even after another project pulled them', async () => {
    await builder.build(lines(), { registries: [LOGIN], projectId: randomUUID() });
    const error = await builder.failure(lines(), { projectId: randomUUID() });
    assert.equal(error.code, 'ORK_BASE_IMAGE');
  });

  test('public ones are asked for again after a day, and the copy is used if the registry is gone', async (t) => {
    const { namespacePath } = builder;
    const folder = join(builder.folder, 'public');
    const open = await TestRegistry.start({ folder, port: PUBLIC_PORT, namespacePath, isPublic: true });
    t.after(() => open.stop());
    const name = `127.0.0.1:${PUBLIC_PORT}/team/base`;
    const lines: string[] = [];
    let later = 0;
    const askedTags = new AskedTags(() => Date.now() + later);
    const log = { write: () => undefined, line: (line: string) => void lines.push(line) };
    await builder.withEngine(async (sandbox) => {
      const after = (ms: number): Promise<Record<string, string>> => {
        const { signal } = new AbortController();
        later = ms;
        const about = { projectId: 'a project', registries: [], log, signal, askedTags };
        return supplyImages({ host: builder.host, sandbox, ...about }, [`${name}:1`]);
      };
      // Not Debian's own image: it is private by now, since other tests pulled it with a login.
      await publish(sandbox, await derive(sandbox, 1), name);
      const first = await after(0);
      assert.deepEqual(await after(0), first);
      assert.deepEqual(lines, [`Pulling base image ${name}:1`]);
      await publish(sandbox, await derive(sandbox, 2), name);
      // Publishing took the name from the copy.
      await sandbox.call('name it', (docker) =>
        docker.getImage(first[`${name}:1`] ?? '').tag({ repo: name, tag: '1' }),
      );
      const second = await after(DAY_MS);
      assert.notDeepEqual(second, first);
      await open.stop();
      assert.deepEqual(await after(2 * DAY_MS), second);
      assert.match(lines.at(-1) ?? '', /^warning: .*connection refused.* copy on this host/);
    });
  });
});

/** Pushes an image to a registry as version 1, and removes that name from the engine. */
const publish = (engine: Engine, image: string, repository: string): Promise<unknown> =>
  pushImage(engine, {
    image,
    repository,
    tag: '1',
    registries: [LOGIN],
    log: { write: () => undefined, line: () => undefined },
    signal: new AbortController().signal,
  });

/** Another image on top of {@link DEBIAN}. @returns its id */
const derive = (engine: Engine, version: number): Promise<string> =>
  engine.call('derive an image', async (docker) => {
    const container = await docker.createContainer({ Image: DEBIAN, Cmd: ['true'] });
    const { Id } = (await container.commit({ changes: `LABEL version=${version}` })) as { Id: string };
    await container.remove();
    return Id;
  });
