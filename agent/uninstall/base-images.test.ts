import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Docker from 'dockerode';
import { scripted } from '../deployment/test-ports.ts';
import type { Engine } from '../lib/engine.ts';
import { removeBaseImages } from './base-images.ts';

/** An engine with base images, each with the HTTP status of its removal. */
function engineWith(statuses: Readonly<Record<string, number>>): Engine {
  const docker = scripted<Docker>('docker', {
    listImages: (async () => Object.keys(statuses).map((Id) => ({ Id }))) as unknown as Docker['listImages'],
    getImage: (id: string) =>
      scripted<Docker.Image>('image', {
        remove: async () => {
          const statusCode = statuses[id] ?? 500;
          if (statusCode >= 400) throw Object.assign(new Error(`${id}: HTTP ${statusCode}`), { statusCode });
        },
      }),
  });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  return scripted<Engine>('engine', { call });
}

test('a base image that others use stays and is counted; one that is gone already counts as removed', async () => {
  assert.equal(
    await removeBaseImages(engineWith({ used: 409, free: 200, gone: 404 })),
    '2 removed, 1 in use by others',
  );
  assert.equal(await removeBaseImages(engineWith({ free: 200 })), '1 removed');
});

test('a base image that the engine fails to remove is a failure', async () => {
  await assert.rejects(removeBaseImages(engineWith({ free: 200, broken: 500 })), /broken: HTTP 500/);
});
