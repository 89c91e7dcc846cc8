/** Every end-to-end test depends on the build itself; these tests cover the decisions around it. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pack } from 'tar-stream';
import type { OrkestrError } from '../../protocol/errors.ts';
import { BaseImages } from '../detect/base-images.ts';
import { makeEngine } from '../docker/engine.ts';
import { makeImageStore } from '../docker/images.ts';
import type { Exec } from '../lib/exec.ts';
import { buildBaseImages } from './build.ts';
import { findMirror, parseTargets } from './mirror.ts';
import { RECIPES } from './recipes/index.ts';

const engine = makeEngine({ socketPath: '/var/run/docker.sock' });

test('every base image of the detectors except Ubuntu has a recipe, and every recipe has a name', () => {
  // Ubuntu is needed for .NET, which Debian does not package.
  const made = new Set([...RECIPES.map(({ kind }) => kind), 'ubuntu']);
  assert.deepEqual(made, new Set(Object.keys(BaseImages.parse({}))));
});

test("a build uses apt's own mirror and leaves out foreign repositories", () => {
  const targets = [
    'http://mirror.example/debian/ bookworm main',
    'http://mirror.example/debian/ bookworm-updates main',
    'http://mirror.example/debian-security/ bookworm-security main',
    'http://mirror.example/debian/ bookworm contrib',
    'https://packages.example/ cloud-sdk-bookworm main',
    'file:/srv/repo bookworm main',
  ];
  assert.deepEqual(
    parseTargets(targets.join('\n')).map(({ suite }) => suite),
    ['bookworm', 'bookworm-updates', 'bookworm-security'],
  );
});

test("a release that apt does not know comes from the mirror of the host's own release", async () => {
  const stdout = [
    'http://mirror.example/debian/ bookworm main',
    'http://mirror.example/debian-security/ bookworm-security main',
  ].join('\n');
  const bookworm: Exec = async () => ({ exitCode: 0, stdout, stderr: '', timedOut: false });
  const { main, sources } = await findMirror('trixie', bookworm);
  assert.equal(main, 'http://mirror.example/debian/');
  assert.deepEqual(
    sources.map(({ uri, suite }) => `${uri} ${suite}`),
    [
      'http://mirror.example/debian/ trixie',
      'http://mirror.example/debian/ trixie-updates',
      'http://mirror.example/debian-security/ trixie-security',
    ],
  );
});

test('a host without apt, or whose apt has no Debian, uses the public mirror', async () => {
  const ubuntu: Exec = async () => ({
    exitCode: 0,
    stdout: 'http://archive.example/ubuntu noble main\n',
    stderr: '',
    timedOut: false,
  });
  const none: Exec = () => Promise.reject(new Error('ENOENT'));
  for (const by of [ubuntu, none])
    assert.match((await findMirror('bookworm', by)).main, /^http:\/\/deb\.debian\.org\//);
});

test('an unknown kind is refused with an error that lists the known kinds', async () => {
  const work = buildBaseImages(engine, ['cobol'], { names: {}, workDirectory: tmpdir(), onProgress: () => undefined });
  await assert.rejects(
    work,
    (error: OrkestrError) => error.code === 'ORK_BASE_IMAGE' && /debian, node/.test(error.message),
  );
});

test('a build leaves an image of the same name alone if orkestr did not make it', async (t) => {
  const name = `orkestr-test-${randomBytes(4).toString('hex')}:1`;
  const tar = pack();
  tar.entry({ name: 'x' }, createHash('sha256').update(name).digest('hex'));
  tar.finalize();
  await engine.call('import', async (docker) => {
    const [repo = '', tag = ''] = name.split(':');
    const stream = await docker.importImage(tar as unknown as NodeJS.ReadableStream, { repo, tag });
    await Array.fromAsync(stream as AsyncIterable<Buffer>);
  });
  t.after(() => engine.call('remove', (docker) => docker.getImage(name).remove()));
  const folder = await mkdtemp(join(tmpdir(), 'ork-base-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const said: string[] = [];
  const [image] = await buildBaseImages(engine, ['debian'], {
    names: { debian: name },
    workDirectory: folder,
    onProgress: (line) => said.push(line),
  });
  assert.equal(await makeImageStore(engine, { scope: '0' }).isMadeHere(name), false);
  assert.deepEqual([image?.made, image?.name], [false, name]);
  assert.match(said.join(), /an image of that name exists/);
  assert.deepEqual(await readdir(folder), []);
});
