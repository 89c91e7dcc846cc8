/** With fake engines: tests only which engine gets which request. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type Docker from 'dockerode';
import type { Engine } from '../../lib/engine.ts';
import { AskedTags } from './asked-tags.ts';
import { supplyImages, type Supply } from './supply.ts';
import { supplyKept } from './kept-images.ts';

const PINNED = `node:24@sha256:${'a'.repeat(64)}`;
const ID = `sha256:${'b'.repeat(64)}`;
const NEWER = `sha256:${'c'.repeat(64)}`;
const DAY_MS = 24 * 60 * 60_000;
const NOW = Date.UTC(2026, 0, 10);

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
  askedTags: new AskedTags(() => NOW),
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

describe('a copy in the build engine of an image that is named by its tag', () => {
  const TAG = 'node:26-trixie-slim';
  const OTHER = 'node:26.1.0-trixie-slim';

  /** A build engine with a registry behind it, both as name → id, and time that passes. */
  function start(names: Record<string, string>) {
    const asked: string[] = [];
    const lines: string[] = [];
    const local = new Map(Object.entries(names));
    const registry = { answers: true, has: { ...names } as Record<string, string> };
    const time = { now: NOW };
    const tagsOf = (id: string): string[] => [...local].flatMap(([name, at]) => (at === id ? [name] : []));
    const docker = {
      getImage: (name: string) => ({
        async inspect() {
          const id = name.startsWith('sha256:') ? name : local.get(name);
          if (id === undefined) throw Object.assign(new Error('no such image'), { statusCode: 404 });
          return { Id: id, RepoTags: tagsOf(id), Config: {}, RootFS: {} };
        },
        remove: async () => void asked.push(`remove ${name}`),
      }),
      async pull(name: string) {
        asked.push(`pull ${name}`);
        const id = registry.has[name];
        if (registry.answers && id !== undefined) local.set(name, id);
        const answer = registry.answers ? { status: 'done' } : { error: 'toomanyrequests' };
        return Readable.from([Buffer.from(`${JSON.stringify(answer)}\n`)], { objectMode: false });
      },
    };
    const sandbox: Engine = {
      socketPath: '/nowhere',
      call: (_what, work) => work(docker as unknown as Docker, new AbortController().signal),
    };
    const log = { write: () => undefined, line: (line: string) => void lines.push(line) };
    const supply = { ...supplyOf(engineWith([]), sandbox), log, askedTags: new AskedTags(() => time.now) };
    const supplied = async (name = TAG): Promise<string | undefined> => (await supplyImages(supply, [name]))[name];
    return { asked, lines, local, registry, time, supplied };
  }

  test('is used as it is for a day after the registry has confirmed it', async () => {
    const { asked, registry, time, supplied } = start({ [TAG]: ID });
    assert.equal(await supplied(), ID);
    registry.has[TAG] = NEWER;
    time.now += DAY_MS - 1;
    assert.equal(await supplied(), ID);
    assert.deepEqual(asked, [`pull ${TAG}`]);
  });

  test('is replaced after a day by the newer one that the registry has', async () => {
    const { asked, lines, registry, time, supplied } = start({ [TAG]: ID });
    await supplied();
    registry.has[TAG] = NEWER;
    time.now += DAY_MS;
    assert.equal(await supplied(), NEWER);
    assert.deepEqual(asked, [`pull ${TAG}`, `pull ${TAG}`, `remove ${ID}`]);
    assert.match(lines.join('\n'), /Base image node:26-trixie-slim has a newer version/);
  });

  test('is used for another day if the registry does not answer, with a warning', async () => {
    const { asked, lines, registry, supplied } = start({ [TAG]: ID });
    registry.answers = false;
    assert.deepEqual([await supplied(), await supplied()], [ID, ID]);
    assert.deepEqual(asked, [`pull ${TAG}`]);
    assert.match(lines.at(-1) ?? '', /^warning: .*node:26-trixie-slim: toomanyrequests\. The build uses the copy/);
  });

  test('is asked for again if the name leads to another image than the confirmed one, as after a rebuild', async () => {
    const { local, supplied } = start({ [TAG]: NEWER });
    await supplied();
    local.set(TAG, ID);
    assert.equal(await supplied(), NEWER);
  });

  test('is not confirmed by another name of the same image, and not removed while it has one', async () => {
    const { asked, registry, supplied } = start({ [TAG]: ID, [OTHER]: ID });
    await supplied(OTHER);
    registry.has[TAG] = NEWER;
    assert.equal(await supplied(), NEWER);
    assert.deepEqual(asked, [`pull ${OTHER}`, `pull ${TAG}`]);
  });
});
