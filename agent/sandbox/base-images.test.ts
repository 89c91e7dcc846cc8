/** With fake engines: tests only which engine gets which request. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type Docker from 'dockerode';
import type { Engine } from '../lib/engine.ts';
import { supplyImages, type Supply } from './base-images.ts';
import { supplyKept } from './rebuild.ts';

const PINNED = `node:24@sha256:${'a'.repeat(64)}`;
const ID = `sha256:${'b'.repeat(64)}`;

/** An engine that has these names or ids, and whatever was pulled; records its requests in `asked`. */
function engineWith(names: readonly string[], asked: string[] = []): Engine {
  const has = new Set(names);
  const docker = {
    getImage: (name: string) => ({
      async inspect() {
        if (!has.has(name)) throw Object.assign(new Error('no such image'), { statusCode: 404 });
        return { Id: ID, Config: {}, RootFS: { Layers: [] } };
      },
    }),
    async pull(name: string) {
      has.add(name);
      return Readable.from([Buffer.from('{"status":"Pull complete"}\n')], { objectMode: false });
    },
  };
  return {
    socketPath: '/nowhere',
    call(what, work) {
      if (!what.startsWith('look for')) asked.push(what);
      return work(docker as unknown as Docker, new AbortController().signal);
    },
  };
}

const supplyOf = (host: Engine, sandbox: Engine): Supply => ({
  host,
  sandbox,
  projectId: 'a project',
  registries: [],
  log: { write: () => undefined, line: () => undefined },
  signal: new AbortController().signal,
});

test('an image named by its digest is pulled even if the host has it, since a load cannot keep that name', async () => {
  const asked: string[] = [];
  const supply = supplyOf(engineWith([PINNED, ID]), engineWith([], asked));
  assert.deepEqual(await supplyImages(supply, [PINNED]), { [PINNED]: ID });
  assert.deepEqual(asked, [`pull ${PINNED}`]);
});

test('an image that the build engine already has is not pulled again', async () => {
  const asked: string[] = [];
  assert.deepEqual(await supplyImages(supplyOf(engineWith([]), engineWith([PINNED], asked)), [PINNED]), {
    [PINNED]: ID,
  });
  assert.deepEqual(asked, []);
});

test('a rebuild of a release gives no other name to an image named by its digest', async () => {
  const asked: string[] = [];
  const supply = supplyOf(engineWith([ID], asked), engineWith([ID], asked));
  assert.deepEqual(await supplyKept(supply, [PINNED], { baseImages: { [PINNED]: ID } }), {});
  assert.deepEqual(asked, []);
});
