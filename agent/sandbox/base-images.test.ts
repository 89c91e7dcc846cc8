/** With fake engines: tests only which engine gets which request. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type Docker from 'dockerode';
import type { Engine } from '../lib/engine.ts';
import { supplyImages, type Supply } from './base-images.ts';
import { supplyKept } from './rebuild.ts';

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
  now: () => NOW,
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
  interface Registry {
    readonly confirmedAt: string;
    readonly answer: string;
  }
  /** A build engine that has the image, and what its registry answers to a pull. */
  function sandboxWith({ confirmedAt, answer }: Registry, asked: string[]): Engine {
    let id = ID;
    const docker = {
      getImage: (name: string) => ({
        inspect: async () => ({ Id: id, Config: {}, RootFS: {}, Metadata: { LastTagTime: confirmedAt } }),
        tag: async (to: unknown) => void asked.push(`tag ${name} ${JSON.stringify(to)}`),
        remove: async () => void asked.push(`remove ${name}`),
      }),
      async pull() {
        if (answer === NEWER) id = NEWER;
        return Readable.from([Buffer.from(answer === NEWER ? '{"status":"done"}\n' : answer)], { objectMode: false });
      },
    };
    return {
      socketPath: '/nowhere',
      call: (_what, work) => work(docker as unknown as Docker, new AbortController().signal),
    };
  }
  const supplied = async (registry: Registry): Promise<{ id: string | undefined; asked: string[]; log: string }> => {
    const [asked, lines]: [string[], string[]] = [[], []];
    const supply = supplyOf(engineWith([]), sandboxWith(registry, asked));
    const log = { write: () => undefined, line: (line: string) => void lines.push(line) };
    const ids = await supplyImages({ ...supply, log }, [TAG]);
    return { id: ids[TAG], asked, log: lines.join('\n') };
  };
  const CONFIRMED = `tag ${TAG} {"repo":"node","tag":"26-trixie-slim"}`;
  const ago = (ms: number): string => new Date(NOW - ms).toISOString();

  test('is used as it is for a day', async () => {
    const { id, asked } = await supplied({ confirmedAt: ago(DAY_MS - 1), answer: NEWER });
    assert.deepEqual([id, asked], [ID, []]);
  });

  for (const [what, confirmedAt] of [
    ['after a day', ago(DAY_MS)],
    ['if nothing shows that the registry was ever asked', '0001-01-01T00:00:00Z'],
  ] as const) {
    test(`is replaced ${what} by the newer one that the registry has`, async () => {
      const { id, asked, log } = await supplied({ confirmedAt, answer: NEWER });
      assert.deepEqual([id, asked], [NEWER, [CONFIRMED, `remove ${ID}`]]);
      assert.match(log, /Base image node:26-trixie-slim has a newer version/);
    });
  }

  test('is used for another day if the registry does not answer, with a warning', async () => {
    const { id, asked, log } = await supplied({ confirmedAt: ago(DAY_MS), answer: '{"error":"toomanyrequests"}\n' });
    assert.deepEqual([id, asked], [ID, [CONFIRMED]]);
    assert.match(log, /^warning: .*node:26-trixie-slim: toomanyrequests\. The build uses the copy on this host/m);
  });
});
