import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { evidenceOf, RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);
const json = (value: unknown): string => JSON.stringify(value);

describe('detector node', () => {
  const start = { scripts: { start: 'node server.js' } };
  const node = async (manifest: object, files: Files = {}, settings = {}): Promise<BuildPlan> =>
    plan({ 'package.json': json(manifest), ...files }, settings);

  test('a start script is run directly, without npm between the engine and the app', async () => {
    assert.match((await node(start)).dockerfile.text, /CMD \["node","server\.js"\]/);
  });

  test('a prestart script runs before the start command', async () => {
    const made = await node({ scripts: { prestart: 'node migrate.js', start: 'node server.js' } });
    assert.match(made.dockerfile.text, /CMD \["sh","-c","node migrate\.js && exec node server\.js"\]/);
  });

  test('a script that calls another one is followed, and a cycle is not an app', async () => {
    const made = await node({ scripts: { start: 'npm run serve', serve: 'node serve.js' } });
    assert.equal(evidenceOf(made, 'start'), 'node serve.js (package.json scripts.serve)');
    const circle = await repository.refusal({
      'package.json': json({ scripts: { start: 'npm run a', a: 'npm run start' } }),
    });
    assert.equal(circle.code, 'ORK_NOTHING_DETECTED');
  });

  test('without a start script the app starts with main, or else with a well-known file', async () => {
    assert.equal((await node({ main: './lib/app.js' }, { 'lib/app.js': '' })).startCommand, 'node lib/app.js');
    assert.equal((await node({ main: 'gone.js' }, { 'index.js': '' })).startCommand, 'node index.js');
  });

  test('a package.json that starts nothing is not an app', async () => {
    assert.match((await repository.refusal({ 'package.json': '{}' })).message, /no start script/);
  });

  test('a Procfile takes precedence over the scripts', async () => {
    const made = await node(start, { Procfile: 'worker: node w.js\nweb: node web.js' });
    assert.equal(evidenceOf(made, 'start'), 'node web.js (Procfile)');
  });

  test('a port in the start script is detected', async () => {
    const made = await node({ scripts: { start: 'PORT=4000 node server.js' } });
    assert.equal(evidenceOf(made, 'port'), '4000 (package.json scripts.start)');
  });

  const withDependency = { ...start, dependencies: { koa: '1' }, devDependencies: { typescript: '5' } };

  test('each lockfile selects its package manager, and the manifests are copied before the sources', async () => {
    const expected: Record<string, [string, RegExp]> = {
      'package-lock.json': ['{}', /COPY package\.json package-lock\.json \.\/\nRUN \S+ npm ci --omit=dev\n/],
      'pnpm-lock.yaml': [
        "lockfileVersion: '6.0'",
        /--global \S+ \S+ pnpm@8\n[^]*pnpm install --frozen-lockfile \S+ --prod/,
      ],
      'yarn.lock': ['# yarn lockfile v1', /--force yarn@1\n[^]*yarn install --frozen-lockfile --production/],
    };
    for (const [lockfile, [text, pattern]] of Object.entries(expected)) {
      assert.match((await node(withDependency, { [lockfile]: text })).dockerfile.text, pattern);
    }
    const berry = await node(withDependency, { 'yarn.lock': '__metadata:\n  version: 8' });
    assert.match(
      berry.dockerfile.text,
      /@yarnpkg\/cli-dist@4[^]*yarn install --immutable\n[^]*focus --all --production/,
    );
  });

  test('other files that a package manager reads are copied with the manifests', async () => {
    const files = { 'pnpm-lock.yaml': '', '.npmrc': '', '.pnpmfile.cjs': '', 'bunfig.toml': '', 'server.js': '' };
    const { text } = (await node(withDependency, files)).dockerfile;
    assert.match(text, /^COPY package\.json pnpm-lock\.yaml \.npmrc \.pnpmfile\.cjs bunfig\.toml \.\/$/m);
  });

  test('a missing lockfile causes a warning', async () => {
    assert.match((await node(withDependency)).warnings.join(), /no lockfile/);
  });

  test('with a build script all packages are installed, and development packages are removed after the build', async () => {
    const manifest = { ...withDependency, scripts: { build: 'tsc', start: 'node dist/main.js' } };
    const { text } = (await node(manifest, { 'package-lock.json': '' })).dockerfile;
    assert.match(text, /npm ci\nCOPY \. \.\nRUN npm run build\nRUN \S+ npm prune --omit=dev --ignore-scripts\n/);
  });

  test("an app's own install scripts run after all files are copied, so the install itself can come earlier", async () => {
    const scripts = { ...start.scripts, prepare: 'husky', postinstall: 'node fix.js' };
    const { text } = (await node({ ...withDependency, scripts })).dockerfile;
    assert.match(
      text,
      /COPY package\.json \.\/\nRUN npm pkg delete scripts\.postinstall scripts\.prepare\nRUN \S+ npm install\nCOPY \. \.\nRUN npm run postinstall\nRUN npm run prepare\n/,
    );
    const stated = await node({ ...withDependency, scripts }, {}, { installCommand: 'npm ci --foreground-scripts' });
    assert.match(stated.dockerfile.text, /COPY \. \.\nRUN \S+ npm ci --foreground-scripts\n/);
    assert.doesNotMatch(stated.dockerfile.text, /npm run|npm pkg/, 'a stated command runs them itself');
  });

  test('Prisma generates its client during the install, which needs the schema, unless a script does it later', async () => {
    const prisma = { ...start, dependencies: { '@prisma/client': '6' } };
    assert.match((await node(prisma)).dockerfile.text, /COPY \. \.\nRUN \S+ npm install/);
    const later = { ...prisma, scripts: { ...start.scripts, build: 'prisma generate && tsc' } };
    assert.match((await node(later)).dockerfile.text, /COPY package\.json \.\/\nRUN \S+ npm install/);
  });

  test('a preinstall script, install scripts in a workspace and dependencies in folders need all files first', async () => {
    const sourcesFirst = /COPY \. \.\nRUN \S+ npm install\n/;
    const before = await node({ ...withDependency, scripts: { ...start.scripts, preinstall: 'node fix.js' } });
    assert.match(before.dockerfile.text, sourcesFirst);
    const prepared = { ...withDependency, scripts: { ...start.scripts, prepare: 'node fix.js' } };
    assert.match((await node({ ...prepared, workspaces: ['packages/*'] })).dockerfile.text, sourcesFirst);
    assert.match((await node({ ...prepared, engines: { node: '14' } })).dockerfile.text, sourcesFirst);
    const linked = await node({ ...withDependency, dependencies: { ours: 'file:./ours' } });
    assert.match(linked.dockerfile.text, /COPY \. \.\nRUN/);
  });

  test('a start command that needs a development package keeps those packages', async () => {
    const made = await node({ scripts: { start: 'tsx main.ts' }, devDependencies: { tsx: '4' } });
    assert.match(made.warnings.join(), /tsx/);
    assert.doesNotMatch(made.dockerfile.text, /prune|omit=dev/);
  });

  const FRAMEWORKS: readonly [string, object, Files, Partial<BuildPlan>][] = [
    ['Next.js', { dependencies: { next: '15' }, scripts: { start: 'next start' } }, {}, { startCommand: 'next start' }],
    [
      'Next.js',
      { dependencies: { next: '15' } },
      { 'next.config.mjs': "export default { output: 'export' }" },
      { runtime: 'static', port: 8080 },
    ],
    ['Nuxt', { dependencies: { nuxt: '3' } }, {}, { startCommand: 'node .output/server/index.mjs' }],
    ['Nuxt', { dependencies: { nuxt: '3' }, scripts: { build: 'nuxt generate' } }, {}, { runtime: 'static' }],
    [
      'SvelteKit',
      { devDependencies: { '@sveltejs/kit': '2', '@sveltejs/adapter-node': '5', vite: '5' } },
      {},
      { startCommand: 'node build' },
    ],
    [
      'SvelteKit',
      { devDependencies: { '@sveltejs/kit': '2', '@sveltejs/adapter-static': '3' } },
      {},
      { runtime: 'static' },
    ],
    [
      'React Router',
      { dependencies: { '@react-router/serve': '7' } },
      {},
      { startCommand: 'react-router-serve ./build/server/index.js' },
    ],
    [
      'React Router',
      { devDependencies: { '@react-router/dev': '7' } },
      { 'react-router.config.ts': '{ ssr: false }' },
      { runtime: 'static' },
    ],
    [
      'Remix',
      { dependencies: { '@remix-run/serve': '2' } },
      {},
      { startCommand: 'remix-serve ./build/server/index.js' },
    ],
    ['Astro', { dependencies: { astro: '5' }, scripts: { start: 'astro dev' } }, {}, { runtime: 'static' }],
    [
      'Astro',
      { dependencies: { astro: '5', '@astrojs/node': '9' } },
      {},
      { startCommand: 'node ./dist/server/entry.mjs' },
    ],
    [
      'NestJS',
      { dependencies: { '@nestjs/core': '11' }, scripts: { start: 'nest start', 'start:prod': 'node dist/main' } },
      {},
      { startCommand: 'node dist/main' },
    ],
    [
      'Create React App',
      { dependencies: { 'react-scripts': '5' }, scripts: { start: 'react-scripts start' } },
      {},
      { runtime: 'static' },
    ],
    ['Vite', { devDependencies: { vite: '8' }, scripts: { start: 'vite --host' } }, {}, { runtime: 'static' }],
    ['Fastify', { dependencies: { fastify: '5' }, ...start }, {}, { runtime: 'node' }],
    [
      'Express',
      { dependencies: { express: '5' }, devDependencies: { vite: '8' }, ...start },
      {},
      { startCommand: 'node server.js' },
    ],
  ];
  for (const [name, manifest, files, expected] of FRAMEWORKS) {
    test(`${name} from ${json(manifest)} gives ${json(expected)}`, async () => {
      const made = await node(manifest, files);
      assert.equal(made.framework, name);
      for (const [key, value] of Object.entries(expected)) assert.equal(made[key as keyof BuildPlan], value, key);
      assert.equal(made.runtime === 'static', /^FROM nginx/m.test(made.dockerfile.text));
    });
  }

  test('the output folder of a Vite build is read from its configuration, unless it is unsafe', async () => {
    const vite = { devDependencies: { vite: '8' } };
    const made = await node(vite, { 'vite.config.ts': "export default { build: { outDir: './public_html' } }" });
    assert.match(made.dockerfile.text, /--from=build \S+ \/app\/public_html\/ /);
    for (const outDir of ['/etc', 'a b; rm']) {
      const hostile = await node(vite, { 'vite.config.ts': `export default { build: { outDir: '${outDir}' } }` });
      assert.match(hostile.dockerfile.text, / \/app\/dist\/ /);
    }
    for (const outDir of ['../../etc', 'dist/../../../etc']) {
      const error = await repository.refusal({
        'package.json': json(vite),
        'vite.config.ts': `export default { build: { outDir: '${outDir}' } }`,
      });
      assert.match(error.message, /vite\.config\.ts writes the build to [./]+etc, outside the build context/);
    }
  });
});
