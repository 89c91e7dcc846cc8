import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { container, id, image, plan } from './test-outputs.ts';
import type { ImageStore, OwnedImage, Ports, Workspaces } from '../ports.ts';
import { aContext, RUNNING } from '../test-context.ts';
import { secondJob, IDS } from '../test-job.ts';
import { scripted } from '../test-ports.ts';
import { finalize, surplus } from './finalize.ts';

describe('the step finalize', () => {
  const finalizeWith = async (parts: {
    listed?: OwnedImage[];
    keepImages?: number;
    inUse?: string[];
    broken?: string[];
    generations?: Record<string, number>;
  }) => {
    const calls: string[] = [];
    const context = aContext({
      job: secondJob({ keepImages: parts.keepImages ?? 2 }),
      previous: { deploymentId: IDS.previous },
      generations: parts.generations ?? {},
      outputs: {
        analyze: plan,
        build: image,
        ...RUNNING,
      },
      ports: {
        containers: scripted<Ports['containers']>('containers', {
          keepRunning: async (name) => void calls.push(`keep ${name}`),
          list: async () => [
            container(IDS.deployment),
            container(IDS.previous),
            container(IDS.host, { environmentId: IDS.host }),
          ],
          stop: async () => undefined,
          inspect: async () => null,
          stopAndRemove: async (name) => void calls.push(`stop ${name}`),
        }),
        images: scripted<ImageStore>('images', {
          list: async () => parts.listed ?? [],
          remove: async (imageId) => {
            calls.push(`prune ${imageId}`);
            if (parts.broken?.includes(imageId) === true) throw new Error('unrecognized image ID');
            return parts.inUse?.includes(imageId) !== true;
          },
        }),
        workspaces: scripted<Workspaces>('workspaces', { remove: async () => void calls.push('workspace') }),
      },
    });
    return { release: await finalize.run(context), calls };
  };
  const owned = (imageId: string): OwnedImage => ({
    id: imageId,
    reference: 'r',
    deploymentId: IDS.previous,
  });

  test('keeps the new container, removes the others of its environment only, and returns the release', async () => {
    const { release, calls } = await finalizeWith({});
    assert.deepEqual(calls, [`keep orkestr-${IDS.deployment}`, `stop orkestr-${IDS.previous}`, 'workspace']);
    assert.deepEqual(release, {
      deploymentId: IDS.deployment,
      commit: 'c'.repeat(40),
      plan,
      image,
      liveAt: '2030-01-01T00:00:00.000Z',
      supersedes: IDS.previous,
      foundPort: 8080,
      prunedImages: [],
    });
  });

  test('prunes images beyond the limit and reports only those that were removed', async () => {
    const listed = [owned(image.id), owned(id('b')), owned(id('c')), owned(id('d'))];
    const { release, calls } = await finalizeWith({ listed, inUse: [id('c')] });
    assert.ok(calls.includes(`prune ${id('c')}`));
    assert.deepEqual(release.prunedImages, [id('d')]);
  });

  test('keeps the images of the newest deployments, even if a hub clock that was ahead made their ids older', async () => {
    const of = (deploymentId: string, imageId: string): OwnedImage => ({ ...owned(imageId), deploymentId });
    const listed = [
      of('ahead-2', id('b')),
      of('ahead-1', id('c')),
      of('now', image.id),
      of('before', id('d')),
      of('old', id('e')),
    ];
    const generations = { now: 9, before: 8, 'ahead-2': 7, 'ahead-1': 6 };
    const { release } = await finalizeWith({ listed, generations, keepImages: 3 });
    assert.deepEqual(release.prunedImages, [id('c'), id('e')]);
  });

  test('an old image that cannot be removed fails no deployment and keeps no other image', async () => {
    const listed = [owned(image.id), owned(id('b')), owned(id('c')), owned(id('d'))];
    const { release } = await finalizeWith({ listed, broken: [id('c')] });
    assert.deepEqual(release.prunedImages, [id('d')]);
  });

  test('keeps the images of the newest deployments, in the order of the store', () => {
    assert.deepEqual(surplus([owned(image.id), owned(id('b')), owned(id('c'))], image.id, 2), [id('c')]);
    assert.deepEqual(surplus([owned(image.id), owned(id('c')), owned(id('b'))], image.id, 2), [id('b')]);
  });

  test('keeps the live image after a rollback, even if it is the oldest', () => {
    const listed = [owned(id('b')), owned(id('c')), owned(image.id)];
    assert.deepEqual(surplus(listed, image.id, 2), [id('c')]);
    assert.deepEqual(surplus(listed, image.id, 1), [id('b'), id('c')]);
  });

  test('an image with two names counts once and is never pruned under its older name', () => {
    const listed = [owned(image.id), owned(id('b')), owned(image.id)];
    assert.deepEqual(surplus(listed, image.id, 2), []);
  });

  test('has no undo, because it follows the point of no return', () => {
    assert.ok(!('undo' in finalize));
  });
});
