import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Docker from 'dockerode';
import { scripted } from '../deployment/test-ports.ts';
import type { Engine } from '../lib/engine.ts';
import { purgeEngine } from './purge.ts';

/** An engine with one container of ours. @returns the options that it was removed with */
async function removedWith(keepData: boolean): Promise<object[]> {
  const removed: object[] = [];
  const container = scripted<Docker.Container>('container', {
    stop: async () => undefined,
    remove: (async ({ v, force }: Docker.ContainerRemoveOptions) =>
      removed.push({ v, force })) as Docker.Container['remove'],
  });
  const docker = scripted<Docker>('docker', {
    listContainers: (async () => [{ Id: 'c1' }]) as unknown as Docker['listContainers'],
    getContainer: () => container,
    listImages: (async () => []) as Docker['listImages'],
    listNetworks: (async () => []) as Docker['listNetworks'],
  });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  await purgeEngine(scripted<Engine>('engine', { call }), 'aabbccdd', { keepData });
  return removed;
}

test('anonymous volumes are removed with their containers, unless data is to be kept', async () => {
  assert.deepEqual(await removedWith(false), [{ v: true, force: true }]);
  assert.deepEqual(await removedWith(true), [{ v: false, force: true }]);
});

/** An engine with these networks of ours, each with the containers attached to it. @returns its result, and what it removed */
async function purgedNetworks(attached: Readonly<Record<string, readonly string[]>>, refused: readonly string[] = []) {
  const removed: string[] = [];
  const docker = scripted<Docker>('docker', {
    listContainers: (async ({ filters }: { filters: { network?: string[] } }) =>
      (attached[filters.network?.[0] ?? ''] ?? []).map((name) => ({
        Id: 'c1',
        Names: [`/${name}`],
      }))) as unknown as Docker['listContainers'],
    listImages: (async () => []) as Docker['listImages'],
    listNetworks: (async () =>
      Object.keys(attached).map((Name) => ({ Id: `id of ${Name}`, Name }))) as unknown as Docker['listNetworks'],
    getNetwork: (id: string) =>
      scripted<Docker.Network>('network', {
        remove: async () => {
          if (refused.includes(id)) throw Object.assign(new Error('has active endpoints'), { statusCode: 403 });
          removed.push(id);
        },
      }),
  });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  return { purged: await purgeEngine(scripted<Engine>('engine', { call }), 'aabbccdd', { keepData: false }), removed };
}

test('a network with a container that is not of orkestr stays and is reported with it, and the others are removed', async () => {
  const { purged, removed } = await purgedNetworks({ 'orkestr-shop': ['shop-db', 'shop-redis'], 'orkestr-blog': [] });
  assert.deepEqual(removed, ['id of orkestr-blog']);
  assert.deepEqual(
    [purged.networks, purged.kept],
    [1, [{ name: 'orkestr-shop', containers: ['shop-db', 'shop-redis'] }]],
  );
});

test('a network to which a container was attached a moment ago stays as well', async () => {
  const { purged, removed } = await purgedNetworks({ 'orkestr-shop': [] }, ['id of orkestr-shop']);
  assert.deepEqual([removed, purged.networks, purged.kept], [[], 0, [{ name: 'orkestr-shop', containers: [] }]]);
});

test('images that this agent built or pulled are removed, one that another agent has too loses its name only', async () => {
  const scope = 'aabbccdd';
  const Labels = { 'orkestr.scope': scope };
  const labelled = [
    { Id: 'built', Labels, RepoTags: ['orkestr/shop:1', 'orkestr/shop:2'] },
    { Id: 'without a name', Labels, RepoTags: [] },
    { Id: 'shared', Labels, RepoTags: ['orkestr/shop:3', 'orkestr-11223344/env:1'] },
    { Id: 'pulled by another agent', Labels, RepoTags: ['orkestr-11223344/env:2'] },
  ];
  const pulled = [{ Id: 'pulled', Labels: { 'orkestr.scope': '11223344' }, RepoTags: [`orkestr-${scope}/env:1`] }];
  const removed: string[] = [];
  const docker = scripted<Docker>('docker', {
    listContainers: async () => [],
    listImages: (async ({ filters }: { filters: { reference?: string[] } }) =>
      filters.reference ? pulled : labelled) as unknown as Docker['listImages'],
    listNetworks: (async () => []) as Docker['listNetworks'],
    getImage: (name: string) =>
      scripted<Docker.Image>('image', {
        remove: (async ({ force }: { force?: boolean }) =>
          removed.push(`${name}${force ? ', forced' : ''}`)) as unknown as Docker.Image['remove'],
      }),
  });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  const purged = await purgeEngine(scripted<Engine>('engine', { call }), scope, { keepData: false });
  assert.deepEqual(removed, ['built, forced', 'without a name, forced', 'orkestr/shop:3', 'pulled, forced']);
  assert.equal(purged.images, 4);
});
