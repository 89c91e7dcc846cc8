import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Docker from 'dockerode';
import { scripted } from '../deployment/test-context.ts';
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
