/** How the package manager is installed in the image. `npm run e2e:apps` shows that it works. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const APP = { scripts: { start: 'node server.js' }, dependencies: { koa: '2' }, devDependencies: { tap: '1' } };

const node = (manifest: object, files: Record<string, string> = {}, settings = {}): Promise<BuildPlan> =>
  repository.plan(
    { 'package.json': JSON.stringify({ ...APP, ...manifest }), 'package-lock.json': '{}', ...files },
    settings,
  );
const yarn = (files: Record<string, string>): Promise<BuildPlan> =>
  repository.plan({ 'package.json': JSON.stringify(APP), ...files });
const manager = ({ evidence }: BuildPlan): string =>
  evidence.find(({ subject }) => subject === 'packageManager')?.value ?? '';
const runs = ({ dockerfile }: BuildPlan): string[] =>
  dockerfile.text.split('\n').filter((line) => line.startsWith('RUN ') && !line.startsWith('RUN --mount'));

test('packageManager sets the version, and an invalid one causes a warning and never becomes a command', async () => {
  assert.equal(manager(await node({ packageManager: 'pnpm@9.1.0' }, { 'pnpm-lock.yaml': '' })), 'pnpm 9.1.0');
  const hostile = await node({ packageManager: 'pnpm@9.1.0 && curl evil' });
  assert.match(hostile.warnings.join(), /does not support packageManager .* uses npm/);
  assert.doesNotMatch(hostile.dockerfile.text, /evil/);
});

test('the version of pnpm reads the lockfile in the same way as the version that wrote it', async () => {
  const patched = (hash: string): string =>
    `lockfileVersion: '9.0'\n\npatchedDependencies:\n  koa@2.0.0${hash}\n\nimporters:\n`;
  const sha256 = 'c1'.repeat(32);
  const written: Record<string, string> = {
    "lockfileVersion: '9.0'\n": '10',
    "lockfileVersion: '6.0'\n": '8',
    'lockfileVersion: 5.4\n': '7',
    "lockfileVersion: '9.0'\n\npackageExtensionsChecksum: c8360b866a3f56c5067c56436d235a6c\n": '9',
    "lockfileVersion: '9.0'\n\npackageExtensionsChecksum: sha256-fR/w1H814mDYWQXj0fiqvOyMaQXd+cbOWNj3tTvGtO4=\n": '10',
    [patched(':\n    hash: ubj3vdwterej6hpjelfobyj73e\n    path: koa.patch')]: '9',
    [patched(`:\n    hash: ${sha256}\n    path: koa.patch`)]: '10',
    [patched(`: ${sha256}`)]: '11',
  };
  for (const [lockfile, major] of Object.entries(written)) {
    assert.equal(manager(await yarn({ 'pnpm-lock.yaml': lockfile })), `pnpm ${major}`, lockfile);
  }
});

test('lockfiles of several package managers cause a warning that names them, unless packageManager decides', async () => {
  const several = { 'yarn.lock': '', 'pnpm-lock.yaml': "lockfileVersion: '9.0'\n" };
  const warned = await node({}, several);
  assert.equal(manager(warned), 'npm');
  assert.deepEqual(warned.warnings, [
    'orkestr installs packages from package-lock.json, but there is also pnpm-lock.yaml and yarn.lock. Delete the lockfiles that you do not use, or set packageManager in package.json.',
  ]);
  assert.deepEqual((await node({ packageManager: 'pnpm@10.1.0' }, several)).warnings, []);
  assert.deepEqual((await node({}, { 'npm-shrinkwrap.json': '{}' })).warnings, []);
  assert.deepEqual((await yarn({ 'bun.lock': '{}', 'bun.lockb': '' })).warnings, []);
});

test('engines.pnpm decides if several versions could read the lockfile', async () => {
  const lock = "lockfileVersion: '9.0'\n";
  for (const [pnpm, major] of Object.entries({ '9': '9', '^9.4': '9', '>=9': '10', '>=11': '11', '>=99': '10' })) {
    const manifest = JSON.stringify({ ...APP, engines: { pnpm } });
    assert.equal(manager(await repository.plan({ 'package.json': manifest, 'pnpm-lock.yaml': lock })), `pnpm ${major}`);
  }
});

test('devEngines decides, too, and an entry in another form is ignored', async () => {
  for (const [packageManager, major] of [
    [{ name: 'pnpm', version: '^11.0.0', onFail: 'download' }, '11'],
    [[{ name: 'npm' }, { name: 'pnpm', version: '^9' }], '9'],
    ['pnpm', '10'],
  ] as const) {
    const manifest = JSON.stringify({ ...APP, devEngines: { packageManager } });
    const lock = "lockfileVersion: '9.0'\n";
    assert.equal(manager(await repository.plan({ 'package.json': manifest, 'pnpm-lock.yaml': lock })), `pnpm ${major}`);
  }
});

test('a hash in packageManager is checked against the npm archive before the install', async () => {
  const hash = 'ab'.repeat(64);
  const plan = await node({ packageManager: `pnpm@9.1.0+sha512.${hash}` });
  assert.equal(manager(plan), 'pnpm 9.1.0, pinned by sha512');
  assert.deepEqual(runs(plan), [
    `RUN npm pack --silent --pack-destination=/tmp pnpm@9.1.0 && echo "${hash}  /tmp/pnpm-9.1.0.tgz" | sha512sum -c && npm install --global --no-fund --no-audit /tmp/pnpm-9.1.0.tgz && rm /tmp/pnpm-9.1.0.tgz`,
  ]);
});

test('a hash for Yarn 2 and later is checked against its single program, as corepack defines it', async () => {
  const hash = 'cd'.repeat(28);
  const [line = ''] = runs(await node({ packageManager: `yarn@4.6.0+sha224.${hash}` }));
  assert.match(line, /cli-dist@4\.6\.0 && echo "(?:cd){28} {2}\/usr\S+cli-dist\/bin\/yarn\.js" \| sha224sum -c$/);
});

test('a hash that cannot be checked causes a warning, and no part of it becomes a command', async () => {
  for (const hash of ['sha512.ab', 'md5.d41d8cd98f00b204e9800998ecf8427e', `sha512.${'AB'.repeat(64)}`]) {
    const plan = await node({ packageManager: `pnpm@9.1.0+${hash}` });
    assert.match(plan.warnings.join(), /cannot check the hash in packageManager/, hash);
    assert.deepEqual(runs(plan), ['RUN npm install --global --no-fund --no-audit pnpm@9.1.0']);
  }
});

test('yarn replaces the one in official images before Node.js 26', async () => {
  assert.deepEqual(runs(await node({ packageManager: 'yarn@1.22.22' })), [
    'RUN npm install --global --no-fund --no-audit --force yarn@1.22.22',
  ]);
});

test('corepack is installed if a command calls it, and only then', async () => {
  const line = /^RUN command -v corepack \|\| \{ npm install .* corepack@0 && ln -s .*; \}$/;
  const called = await node({ scripts: { ...APP.scripts, preinstall: 'corepack enable' } });
  assert.ok(runs(called).some((run) => line.test(run)));
  const stated = await node({}, {}, { installCommand: 'corepack pnpm install' });
  assert.ok(runs(stated).some((run) => line.test(run)));
  const started = await node({ scripts: { start: 'corepack pnpm serve' } });
  assert.match(started.dockerfile.text.split(/^FROM /m).at(-1) ?? '', /command -v corepack/);
  assert.doesNotMatch((await node({})).dockerfile.text, /corepack/);
});

test('bun is installed for commands that call it, whichever package manager installs the packages', async () => {
  const line = /^RUN npm install --global --no-fund --no-audit bun@1$/gm;
  const times = ({ dockerfile }: BuildPlan): number[] =>
    dockerfile.text
      .split(/^FROM /m)
      .slice(1)
      .map((stage) => stage.match(line)?.length ?? 0);
  assert.deepEqual(times(await node({ scripts: { start: 'bun src/index.ts' } })), [1, 1]);
  assert.deepEqual(times(await node({ scripts: { ...APP.scripts, build: 'tsc && bunx esbuild a.ts' } })), [1, 0]);
  assert.deepEqual(times(await node({ packageManager: 'pnpm@9.1.0' }, {}, { startCommand: 'bun run a.ts' })), [0, 1]);
  assert.deepEqual(times(await node({ scripts: { start: 'node bun.js' } })), [0, 0]);
  const own = { 'package.json': JSON.stringify({ ...APP, scripts: { start: 'bun a.ts' } }), 'bun.lock': '{}' };
  assert.deepEqual(times(await repository.plan(own)), [1, 1]);
});

test('a lockfile of Yarn 2 and later selects the release that wrote it', async () => {
  for (const [format, major] of Object.entries({ 4: '2', 6: '3', 8: '4', 10: '4' })) {
    const lock = `# generated\n\n__metadata:\n  version: ${format}\n  cacheKey: 8\n`;
    assert.equal(manager(await yarn({ 'yarn.lock': lock })), `yarn ${major}`);
  }
});

test('before Yarn 4 development dependencies stay, with a warning, unless the repository has the plugin', async () => {
  const three = { 'yarn.lock': '__metadata:\n  version: 6\n' };
  const kept = await yarn(three);
  assert.doesNotMatch(kept.dockerfile.text, /focus/);
  assert.match(kept.warnings.join(), /All development dependencies stay in the image: Yarn before/);
  const plugin = { ...three, '.yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs': '' };
  assert.match((await yarn(plugin)).dockerfile.text, /yarn workspaces focus --all --production$/m);
  const four = { ...three, '.yarnrc.yml': 'yarnPath: .yarn/releases/yarn-4.1.0.cjs\n' };
  assert.match((await yarn(four)).dockerfile.text, /focus/, 'its own Yarn is the one that runs');
  const three2 = {
    'yarn.lock': '__metadata:\n  version: 8\n',
    '.yarnrc.yml': 'yarnPath: ".yarn/releases/yarn-3.8.7.cjs"',
  };
  assert.doesNotMatch((await yarn(three2)).dockerfile.text, /focus/);
});
