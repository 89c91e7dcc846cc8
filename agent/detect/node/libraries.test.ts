/** Debian packages in the image of a Node.js app. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

/** Debian packages in the build stage, and in the final one. */
async function installed(dependencies: Readonly<Record<string, string>>, more: object = {}): Promise<string[]> {
  const manifest = { scripts: { start: 'node server.js' }, dependencies: { koa: '3', ...dependencies }, ...more };
  const { dockerfile } = await repository.plan({
    'package.json': JSON.stringify(manifest),
    'package-lock.json': '{}',
  });
  return dockerfile.text
    .split(/^FROM /m)
    .slice(1)
    .map((stage) => /--no-install-recommends (.*) && rm/.exec(stage)?.[1] ?? '');
}

const COMPILER = 'python3 make g++';

test('a package that may need compiling gets a compiler and the libraries that it links to', async () => {
  assert.deepEqual(await installed({ 'better-sqlite3': '^12.0.0' }), [COMPILER, '']);
  assert.deepEqual(await installed({ 'pg-native': '3', re2: '1' }), [`${COMPILER} libpq-dev`, 'libpq5']);
  const [build = '', run = ''] = await installed({ canvas: '^2.11.2' });
  assert.match(build, /^python3 make g\+\+ pkg-config libcairo2-dev /);
  assert.match(run, /^libcairo2 /);
});

test('a package with prebuilt binaries for every Node.js needs nothing', async () => {
  assert.deepEqual(await installed({ canvas: '^3.2.0', sqlite3: '5', bcrypt: '6', sharp: '0.34' }), ['', '']);
});

test('a dependency in a repository installs git', async () => {
  const git = 'git ca-certificates';
  for (const range of [
    'git+https://gitlab.example/a/b.git#v1',
    'git@gitlab.example:a/b.git',
    'https://git.example/a/b.git',
    'gitlab:a/b',
    'a/b#main',
  ]) {
    assert.deepEqual(await installed({ b: range }), [git, ''], range);
  }
  for (const range of ['^1.0.0', 'npm:@a/b@1', 'https://files.example/b.tgz', 'latest']) {
    assert.deepEqual(await installed({ b: range }), ['', ''], range);
  }
  const development = {
    scripts: { start: 'node server.js', build: 'tsc' },
    devDependencies: { b: 'git+ssh://x/y.git' },
  };
  assert.deepEqual(await installed({}, development), [git, '']);
});
