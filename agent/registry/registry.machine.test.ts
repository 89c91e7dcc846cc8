/** Push and pull with a real registry (Debian's docker-registry): from the build engine's network, and on loopback. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { DEBIAN, TestBuilder } from '../../test/harness/builder.ts';
import { LOGIN_PASSWORD, TestRegistry } from '../../test/harness/registry.ts';
import type { OrkestrError } from '../../protocol/errors.ts';
import type { RegistryLogin } from '../../protocol/job.ts';
import type { Image } from '../../protocol/steps.ts';
import type { ImageRegistry, Ownership, PullRequest } from '../deployment/ports.ts';
import { makeImageStore } from '../docker/images.ts';
import { orNull } from '../lib/engine.ts';
import { usesContainerdStore } from '../sandbox/handoff/image-content.ts';
import { makeImageRegistry } from './pull.ts';

let builder: TestBuilder;
let pushed: TestRegistry;
let served: TestRegistry;
let registry: ImageRegistry;
let owner: Ownership;

/** Two registries serve one folder under the same address, since engines use plain HTTP only on their own loopback. */
before(async () => {
  builder = await TestBuilder.start();
  await builder.build([`FROM ${DEBIAN}`, 'RUN true']); // starts the sandbox and its network
  const folder = join(builder.folder, 'registry');
  served = await TestRegistry.start({ folder });
  pushed = await TestRegistry.start({ folder, port: served.port, namespacePath: builder.namespacePath });
  registry = makeImageRegistry(builder.host, { scope: builder.scope });
});
after(async () => {
  await served.stop();
  await pushed.stop();
  await builder.stop();
});
beforeEach(() => {
  owner = { deploymentId: randomUUID(), environmentId: builder.scope, projectId: 'a project' };
});

const repository = (): string => `${served.host}/team/app`;
const login = (): RegistryLogin => served.login;
const random = (): string => randomUUID();

/** An image with one small new layer, built for another host. */
const build = (registries = [login()], lines = [`FROM ${DEBIAN}`, `RUN echo ${random()} > /made`]) =>
  builder.build(lines, { registries, push: { repository: repository(), tag: 'commit' }, forElsewhere: true });

const failureOf = (work: Promise<unknown>): Promise<OrkestrError> =>
  work.then(
    () => assert.fail('it should have failed'),
    (error: OrkestrError) => error,
  );

function pullRequest(image: Image, parts: Partial<PullRequest> = {}): { request: PullRequest; lines: string[] } {
  const lines: string[] = [];
  const log = { write: () => undefined, line: (text: string) => void lines.push(text) };
  const { signal } = new AbortController();
  return { lines, request: { owner, image, registries: [login()], log, signal, ...parts } };
}

const onHost = (reference: string) =>
  orNull(builder.host.call('inspect', (docker) => docker.getImage(reference).inspect()));

describe('push', () => {
  test('an image for another host is pushed by digest, and neither engine keeps a name for it', async () => {
    const { image, text } = await build();
    assert.match(image.registryReference ?? '', new RegExp(`^${repository()}@sha256:[0-9a-f]{64}$`));
    assert.match(text, /Pushed \d+ layers, \d+ of them new in the registry/);
    assert.equal(await onHost(image.reference), null);
    assert.equal(await onHost(image.id), null);
    await builder.withEngine(async (engine) => {
      const left = await engine.call('list', (docker) => docker.listImages());
      assert.ok(!JSON.stringify(left).includes(repository()), JSON.stringify(left));
      assert.ok(!JSON.stringify(left).includes(image.id));
    });
    assert.ok(!text.includes(LOGIN_PASSWORD));
  });

  test('a layer that the registry has is not sent again', async () => {
    const first = await build();
    assert.match(first.text, /Pushed (\d+) layers, [01] of them new in the registry/);
  });

  test('an image for this host is also loaded into its engine', async () => {
    const lines = [`FROM ${DEBIAN}`, `RUN echo ${random()} > /made`];
    const { image } = await builder.build(lines, {
      registries: [login()],
      push: { repository: repository(), tag: 'commit' },
    });
    assert.ok(image.registryReference);
    assert.equal((await onHost(image.reference))?.Id, image.id);
  });

  test('the build fails without a login or with a wrong one, and the message names the registry', async () => {
    for (const registries of [[], [{ ...login(), password: 'not this one' }]]) {
      const error = await failureOf(build(registries));
      assert.equal(error.code, 'ORK_REGISTRY_LOGIN');
      assert.match(error.message, new RegExp(`pushed to ${repository()}.*registry ${served.host} wants another login`));
      assert.ok(!JSON.stringify([error.message, error.evidence]).includes('not this one'));
    }
  });

  test('an unreachable registry has its own error code, and a cancel ends a hanging push', async () => {
    const down = { repository: '127.0.0.1:9/team/app', tag: 'commit' };
    const lines = [`FROM ${DEBIAN}`, 'RUN true'];
    assert.equal((await failureOf(builder.build(lines, { push: down }))).code, 'ORK_REGISTRY_UNREACHABLE');
    const cancel = new AbortController();
    await pushed.hang(async () => {
      const failed = failureOf(
        builder.build([`FROM ${DEBIAN}`, `RUN echo ${random()} > /made`], {
          registries: [login()],
          push: { repository: repository(), tag: 'commit' },
          signal: cancel.signal,
          onLog: (text) => text.includes('Pushing') && setTimeout(() => cancel.abort(), 300),
        }),
      );
      assert.equal((await failed).code, 'ORK_CANCELLED');
    });
  });
});

describe('pull', () => {
  test('a pull brings the same image under a name with its owner, and the image is listed and removed as ours', async () => {
    const { image } = await build();
    const { request, lines } = pullRequest(image);
    const id = await registry.pull(request);
    // An engine with containerd's image store names the image by its manifest.
    assert.ok(id === image.id || image.registryReference?.endsWith(`@${id}`), id);
    assert.match(lines.join('\n'), /Pulled \d+ layers, \d+ of them new on this host/);
    assert.ok(!lines.join('\n').includes(LOGIN_PASSWORD));
    assert.deepEqual((await onHost(id))?.RepoTags, [
      `orkestr-${builder.scope}/${owner.environmentId}:${owner.deploymentId}`,
    ]);
    if (id === image.id) assert.deepEqual((await onHost(id))?.RepoDigests, []);
    const listed = await builder.images.list(owner.environmentId);
    assert.ok(listed.some((one) => one.id === id && one.deploymentId === owner.deploymentId));
    assert.equal(await builder.images.remove(id), true);
    assert.equal(await onHost(id), null);
  });

  test('a host of another scope owns the image it pulled, although the image was built elsewhere', async (t) => {
    const { image } = await build();
    const other = makeImageRegistry(builder.host, { scope: 'fedcba98' });
    const id = await other.pull(pullRequest(image).request);
    const store = makeImageStore(builder.host, { scope: 'fedcba98' });
    t.after(() => store.remove(id));
    const listed = await store.list(owner.environmentId);
    const mine = await builder.images.list(owner.environmentId);
    assert.ok(!mine.some((one) => one.id === id), 'it is not of the one that built it');
    assert.equal(await builder.images.remove(id), false);
    assert.deepEqual(
      listed.map((one) => one.id),
      [id],
    );
    assert.equal(await store.remove(id), true);
    assert.equal(await onHost(id), null);
  });

  test('a missing image is reported before the pull, and a pull of it fails as gone', async () => {
    const { image } = await build();
    assert.equal(await registry.whyMissing(image.registryReference ?? '', [login()]), null);
    const gone = { ...image, registryReference: `${repository()}@sha256:${'0'.repeat(64)}` };
    assert.match((await registry.whyMissing(gone.registryReference, [login()])) ?? '', /does not have it/);
    assert.match((await registry.whyMissing(image.registryReference ?? '', [])) ?? '', /another login/);
    assert.equal((await failureOf(registry.pull(pullRequest(gone).request))).code, 'ORK_IMAGE_GONE');
  });

  test('a wrong password fails as a login error and appears in no log and no error', async () => {
    const { image } = await build();
    const { request, lines } = pullRequest(image, { registries: [{ ...login(), password: 'not this one' }] });
    const error = await failureOf(registry.pull(request));
    assert.equal(error.code, 'ORK_REGISTRY_LOGIN');
    assert.ok(!JSON.stringify([lines, error.message, error.evidence]).includes('not this one'));
  });

  test('a layer that was changed in the registry is refused, and the host keeps nothing of the image', async () => {
    const { image } = await build();
    await tamper(served.folder, image);
    const error = await failureOf(registry.pull(pullRequest(image).request));
    assert.equal(error.code, 'ORK_IMAGE_DIGEST', error.evidence.join('\n'));
    assert.equal(await onHost(image.id), null);
  });

  test('another image under a valid digest is refused too, except with the containerd image store', async () => {
    const [one, other] = [await build(), await build()];
    const swapped = { ...one.image, registryReference: other.image.registryReference };
    if (await usesContainerdStore(builder.host)) {
      // It has unpacked the base image from elsewhere, so it lists no layers: only the digest can be checked.
      const id = await registry.pull(pullRequest(swapped).request);
      assert.ok(swapped.registryReference?.endsWith(`@${id}`));
      assert.equal(await builder.images.remove(id), true);
      return;
    }
    const error = await failureOf(registry.pull(pullRequest(swapped).request));
    assert.equal(error.code, 'ORK_IMAGE_DIGEST');
    assert.equal(await onHost(other.image.id), null);
  });

  test('a cancel ends a hanging pull, and an unreachable registry has its own error code', async () => {
    const { image } = await build();
    const cancel = new AbortController();
    await served.hang(async () => {
      setTimeout(() => cancel.abort(), 300);
      const error = await failureOf(registry.pull(pullRequest(image, { signal: cancel.signal }).request));
      assert.equal(error.code, 'ORK_CANCELLED');
    });
    const down = { ...image, registryReference: `127.0.0.1:9/team/app@sha256:${'0'.repeat(64)}` };
    assert.equal((await failureOf(registry.pull(pullRequest(down).request))).code, 'ORK_REGISTRY_UNREACHABLE');
  });
});

/** Changes one byte in the middle of the image's last layer in the registry's storage. */
async function tamper(folder: string, image: Image): Promise<void> {
  const digest = (image.registryReference ?? '').split('@')[1] ?? '';
  const manifest = JSON.parse(await readFile(blobPath(folder, digest), 'utf8')) as { layers: { digest: string }[] };
  const path = blobPath(folder, manifest.layers.at(-1)?.digest ?? '');
  const bytes = await readFile(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  await writeFile(path, bytes);
}

const blobPath = (folder: string, digest: string): string => {
  const hex = digest.slice('sha256:'.length);
  return join(folder, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
};
