/** Which apps keep development dependencies in the image. `npm run e2e:apps` covers the package managers' part. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Record<string, string>;

const plan = (manifest: object, files: Files = { 'package-lock.json': '{}' }, asked = {}): Promise<BuildPlan> =>
  repository.plan({ 'package.json': JSON.stringify(manifest), ...files }, asked);
const prunes = ({ dockerfile }: BuildPlan): boolean => /prune|--omit=dev|--prod|focus/.test(dockerfile.text);
const kept = ({ warnings }: BuildPlan): string =>
  warnings.find((text) => text.startsWith('All development dependencies stay in the image: ')) ?? '';

test('a start command that needs a development dependency anywhere keeps them all, and the warning names it', async () => {
  const lines: Record<string, string> = {
    'tsx main.ts': 'tsx',
    'NODE_ENV=production tsx main.ts': 'tsx',
    'node --import tsx main.ts': 'tsx',
    'node --import=tsx/esm main.ts': 'tsx',
    'node -r @swc-node/register main.ts': '@swc-node/register',
    'prisma migrate deploy && node main.js': 'prisma',
    'npx tsc && node main.js': 'typescript',
    './node_modules/.bin/tsx main.ts': 'tsx',
    'npm run compile && node main.js': 'typescript',
  };
  const devDependencies = { tsx: '4', prisma: '6', typescript: '5', '@swc-node/register': '1' };
  for (const [start, name] of Object.entries(lines)) {
    const made = await plan({ scripts: { start, compile: 'yarn run tsc', tsc: 'tsc -p .' }, devDependencies });
    assert.equal(kept(made), `All development dependencies stay in the image: the start command needs ${name}.`, start);
    assert.ok(!prunes(made), start);
  }
  const plain = await plan({ scripts: { start: 'node main.js', compile: 'tsc' }, devDependencies });
  assert.deepEqual([kept(plain), prunes(plain)], ['', true]);
});

test('a prestart script counts, and so do the tools of the workspace', async () => {
  const scripts = { prestart: 'tsc', start: 'node main.js' };
  assert.match(kept(await plan({ scripts, devDependencies: { typescript: '5' } })), /needs typescript/);
  const files = {
    'package-lock.json': '{}',
    'apps/api/package.json': JSON.stringify({ name: 'api', scripts: { start: 'tsx main.ts' } }),
  };
  const member = await plan({ workspaces: ['apps/*'], devDependencies: { tsx: '4' } }, files);
  assert.match(kept(member), /needs tsx/);
});

test('a package that is a production dependency, too, does not keep the development dependencies', async () => {
  const both = { scripts: { start: 'tsx main.ts' }, dependencies: { tsx: '4' }, devDependencies: { tap: '1' } };
  assert.equal(kept(await plan(both)), '');
});

test('Next.js keeps the compiler for a configuration in TypeScript, because it reads it at the start', async () => {
  const manifest = {
    scripts: { start: 'next start' },
    dependencies: { next: '16' },
    devDependencies: { typescript: '5' },
  };
  const lock = { 'package-lock.json': '{}' };
  const typed = await plan(manifest, { ...lock, 'next.config.ts': 'export default {}' });
  assert.match(kept(typed), /: next\.config\.ts needs typescript when the app starts\.$/);
  assert.ok(!prunes(typed));
  assert.ok(prunes(await plan(manifest, { ...lock, 'next.config.mjs': 'export default {}' })));
});

test('pnpm removes development dependencies without reinstalling the others', async () => {
  const manifest = { scripts: { build: 'tsc', start: 'node main.js' }, dependencies: { '@prisma/client': '6' } };
  const { dockerfile } = await plan(manifest, { 'pnpm-lock.yaml': "lockfileVersion: '9.0'" });
  assert.match(dockerfile.text, / CI=1 pnpm install --prod --ignore-scripts --config\.modules-cache-max-age=0 /);
  assert.doesNotMatch(dockerfile.text, /pnpm prune/);
});

test("Yarn 4, which would run the app's own scripts again, keeps development dependencies that they may need", async () => {
  const manifest = { scripts: { postinstall: 'nuxt prepare', start: 'node a.js' }, dependencies: { koa: '2' } };
  const berry = { 'yarn.lock': '__metadata:\n  version: 8\n' };
  assert.match(kept(await plan(manifest, berry)), /yarn would run scripts\.postinstall again/);
  assert.ok(prunes(await plan({ ...manifest, scripts: { prepare: 'husky', start: 'node a.js' } }, berry)));
});

test('bun reinstalls for production, unless that would lose something made after the first install', async () => {
  const bun = { 'bun.lock': '{}' };
  const manifest = { scripts: { build: 'tsc', start: 'bun main.js' }, dependencies: { hono: '4' } };
  const anew = /rm -rf node_modules && bun install --production --frozen-lockfile$/m;
  assert.match((await plan(manifest, bun)).dockerfile.text, anew);
  const others: [object, RegExp][] = [
    [{ ...manifest, dependencies: { '@prisma/client': '6' } }, /remove the client that Prisma generates/],
    [{ ...manifest, scripts: { ...manifest.scripts, prepare: 'husky' } }, /bun would run scripts\.prepare again/],
    [{ ...manifest, workspaces: ['packages/*'] }, /bun would install every member again/],
  ];
  for (const [other, why] of others) {
    const made = await plan(other, bun);
    assert.match(kept(made), why);
    assert.doesNotMatch(made.dockerfile.text, anew);
  }
});
