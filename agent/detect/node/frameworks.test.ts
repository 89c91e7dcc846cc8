/** The output of framework builds, by current templates and their configuration files. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Record<string, string>;

const plan = (manifest: object, files: Files = {}, asked = {}): Promise<BuildPlan> =>
  repository.plan({ 'package.json': JSON.stringify(manifest), 'package-lock.json': '{}', ...files }, asked);

async function refusal(manifest: object, files: Files = {}, asked = {}): Promise<OrkestrError> {
  const error: unknown = await plan(manifest, files, asked).then(
    () => assert.fail('a plan was made'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OrkestrError, String(error));
  return error;
}

const site = ({ runtime, outputDirectory, files }: BuildPlan): [string, string | undefined, string] => {
  const text = files.find(({ path }) => path.endsWith('nginx.conf'))?.text ?? '';
  return [runtime, outputDirectory, /try_files \$uri \S+ \S+ (.*);/.exec(text)?.[1] ?? ''];
};

describe('SvelteKit', () => {
  const kit = (...adapters: string[]): object => ({
    scripts: { build: 'vite build' },
    devDependencies: Object.fromEntries(['@sveltejs/kit', 'vite', ...adapters].map((name) => [name, '1'])),
  });
  const config = (adapter: string, options = ''): Files => ({
    'svelte.config.js': `import adapter from '${adapter}';\nexport default { kit: { adapter: adapter(${options}) } };\n`,
  });

  test('makes adapter-auto, the default of its template, build a server, with a warning that it is not locked', async () => {
    const made = await plan(kit('@sveltejs/adapter-auto'), {
      'vite.config.ts': "import adapter from '@sveltejs/adapter-auto';\n",
    });
    assert.equal(made.startCommand, 'node build');
    assert.match(made.dockerfile.text, /^ENV GCP_BUILDPACKS=orkestr\nRUN npm run build$/m);
    assert.match(made.warnings.join(), /npm install -D @sveltejs\/adapter-node/);
  });

  test('makes adapter-auto install into the existing store under pnpm', async () => {
    const made = await plan(kit('@sveltejs/adapter-auto'), { 'pnpm-lock.yaml': '', 'package-lock.json': '' }, {});
    assert.doesNotMatch(made.dockerfile.text, /store_dir/, 'npm has none');
    const lock = { 'package.json': JSON.stringify(kit('@sveltejs/adapter-auto')), 'pnpm-lock.yaml': '' };
    assert.match(
      (await repository.plan(lock)).dockerfile.text,
      /ENV GCP_BUILDPACKS=orkestr npm_config_store_dir=\/root\/\.pnpm-store PNPM_CONFIG_STORE_DIR=\/root\/\.pnpm-store\n/,
    );
  });

  test('starts adapter-node from the folder in its configuration', async () => {
    const made = await plan(
      kit('@sveltejs/adapter-auto', '@sveltejs/adapter-node'),
      config('@sveltejs/adapter-node', "{ out: 'server' }"),
    );
    assert.deepEqual([made.startCommand, made.warnings], ['node server', []]);
    assert.doesNotMatch(made.dockerfile.text, /GCP_BUILDPACKS/);
  });

  test('takes folder and fallback from adapter-static, so that deep links of an app work', async () => {
    const spa = await plan(
      kit('@sveltejs/adapter-static'),
      config('@sveltejs/adapter-static', "{ pages: 'out', fallback: '200.html' }"),
    );
    assert.deepEqual(site(spa), ['static', 'out', '/200.html /index.html']);
    const missing = await plan(
      kit('@sveltejs/adapter-static'),
      config('@sveltejs/adapter-static', "{ fallback: '404.html' }"),
    );
    assert.deepEqual(site(missing), ['static', 'build', '=404']);
  });

  test('reports an adapter of another platform as an error with the fix, unless a start command is stated', async () => {
    const vercel = kit('@sveltejs/adapter-vercel');
    const error = await refusal(vercel);
    assert.equal(error.code, 'ORK_MANIFEST_INVALID');
    assert.match(error.message, /npm install -D @sveltejs\/adapter-node/);
    assert.equal((await plan(vercel, {}, { startCommand: 'node mine.js' })).startCommand, 'node mine.js');
    const member = { 'apps/web/package.json': JSON.stringify(vercel) };
    assert.match((await refusal({ workspaces: ['apps/*'] }, member)).message, /npm install -D @sveltejs\/adapter-node/);
    const own = { ...kit('svelte-adapter-bun'), scripts: { build: 'vite build', start: 'node build/index.js' } };
    assert.equal((await plan(own)).startCommand, 'node build/index.js');
  });
});

describe('builds without a server', () => {
  test('an export of Next.js is served as files, even if its template keeps next start', async () => {
    const manifest = { scripts: { build: 'next build', start: 'next start' }, dependencies: { next: '16' } };
    const made = await plan(manifest, { 'next.config.ts': "export default { output: 'export' }" });
    assert.deepEqual(site(made), ['static', 'out', '=404']);
    const server = await plan(manifest, { 'next.config.ts': "export default {\n  // output: 'export',\n}" });
    assert.equal(server.startCommand, 'next start', 'what stands in a comment does not count');
  });

  test('React Router with ssr: false is a single page, even if its template keeps a start script', async () => {
    const manifest = {
      scripts: { build: 'react-router build', start: 'react-router-serve ./build/server/index.js' },
      dependencies: { '@react-router/serve': '7' },
      devDependencies: { '@react-router/dev': '7', vite: '7' },
    };
    const made = await plan(manifest, { 'react-router.config.ts': 'export default { ssr: false } satisfies Config;' });
    assert.deepEqual(site(made), ['static', 'build/client', '/__spa-fallback.html /index.html']);
    const server = await plan(manifest, { 'react-router.config.ts': 'export default { ssr: true };' });
    assert.equal(server.startCommand, 'react-router-serve ./build/server/index.js');
  });

  test('React Router for another platform is an error with the fix, unless a start command is stated', async () => {
    const manifest = {
      scripts: { build: 'react-router build', start: 'wrangler dev' },
      devDependencies: { '@react-router/dev': '7', '@cloudflare/vite-plugin': '1', vite: '7' },
    };
    const config = { 'react-router.config.ts': 'export default { ssr: true };' };
    assert.match((await refusal(manifest, config)).message, /npm install @react-router\/serve.*`ssr: false`/);
    assert.match((await refusal({ ...manifest, scripts: {} })).message, /npm install @react-router\/serve/);
    const own = { ...manifest, scripts: { start: 'node server.js' } };
    assert.equal((await plan(own, config)).startCommand, 'node server.js');
    assert.equal((await plan(manifest, config, { startCommand: 'node x.js' })).startCommand, 'node x.js');
  });

  const NITRO: readonly [manifest: object, file: string, text: (preset: string) => string][] = [
    [{ dependencies: { nuxt: '4' } }, 'nuxt.config.ts', (preset) => `{ nitro: { wasm: {}, preset: '${preset}' } }`],
    [{ dependencies: { '@solidjs/start': '1' } }, 'app.config.ts', (preset) => `{ server: { preset: "${preset}" } }`],
    [
      { dependencies: { '@tanstack/react-start': '1', nitro: '3' } },
      'vite.config.ts',
      (preset) => `nitro({ preset: '${preset}' })`,
    ],
  ];
  for (const [manifest, file, text] of NITRO) {
    test(`a preset of another platform in ${file} is an error, but one of Node.js is not`, async () => {
      const { message } = await refusal(manifest, { [file]: text('cloudflare_pages') });
      assert.ok(message.startsWith(`${file} sets the preset cloudflare_pages of Nitro`), message);
      for (const start of ['node .output/server/index.mjs', 'vinxi start']) {
        const template = { ...manifest, scripts: { start } };
        assert.match((await refusal(template, { [file]: text('vercel') })).message, /sets the preset vercel/);
      }
      const bun = { ...manifest, scripts: { start: 'bun .output/server/index.mjs' } };
      assert.equal((await plan(bun, { [file]: text('bun') })).startCommand, bun.scripts.start);
      for (const preset of ['node-server', 'Aura', 'bunny']) {
        const made = await plan(manifest, { [file]: text(preset) });
        assert.equal(made.startCommand, 'node .output/server/index.mjs', preset);
      }
      const stated = await plan(manifest, { [file]: text('bun') }, { startCommand: 'bun x.mjs' });
      assert.equal(stated.startCommand, 'bun x.mjs');
    });
  }

  test('a Nitro preset in the build script is found, and the preset static gives files', async () => {
    const nuxt = { dependencies: { nuxt: '4' } };
    for (const build of ['nuxt build --preset=vercel-edge', 'NITRO_PRESET=vercel nuxt build']) {
      const { message } = await refusal({ ...nuxt, scripts: { build } });
      assert.match(message, /^package\.json scripts\.build sets the preset vercel/);
    }
    const files = await plan(nuxt, { 'nuxt.config.ts': "{ nitro: { preset: 'static' } }" });
    assert.deepEqual(site(files), ['static', '.output/public', '=404']);
    const solid = { scripts: { start: 'vinxi start' }, dependencies: { '@solidjs/start': '1' } };
    const spa = await plan(solid, { 'app.config.ts': "{ ssr: false, server: { preset: 'static' } }" });
    assert.deepEqual(site(spa), ['static', '.output/public', '/index.html']);
  });

  test('TanStack Start is a server with Nitro, and an error with the fix without it', async () => {
    const start = { dependencies: { '@tanstack/react-start': '1' }, devDependencies: { vite: '8' } };
    assert.match((await refusal(start)).message, /npm install -D @tanstack\/nitro-v2-vite-plugin/);
    const nitro = { ...start, devDependencies: { vite: '8', '@tanstack/nitro-v2-vite-plugin': '1' } };
    assert.equal((await plan(nitro)).startCommand, 'node .output/server/index.mjs');
    const spa = await plan(start, { 'vite.config.ts': 'tanstackStart({ spa: { enabled: true } })' });
    assert.deepEqual(site(spa), ['static', 'dist/client', '/_shell.html /index.html']);
  });

  test('nuxt dev is not used as a start command', async () => {
    const made = await plan({ scripts: { start: 'nuxt dev' }, dependencies: { nuxt: '4' } });
    assert.equal(made.startCommand, 'node .output/server/index.mjs');
  });

  test('Astro with an adapter of another platform is an error with the fix, unless the adapter is unused', async () => {
    const manifest = { dependencies: { astro: '5', '@astrojs/vercel': '9' } };
    const error = await refusal(manifest, { 'astro.config.mjs': "import vercel from '@astrojs/vercel';" });
    assert.match(error.message, /astro\.config\.mjs uses @astrojs\/vercel.*npx astro add node/);
    assert.equal((await plan(manifest, { 'astro.config.mjs': 'export default {}' })).runtime, 'static');
  });

  test('VitePress in docs/ is built by the script from its init, and its output folder is found', async () => {
    const manifest = { scripts: { 'docs:build': 'vitepress build docs' }, devDependencies: { vitepress: '1' } };
    const files = { 'docs/.vitepress/config.mts': 'export default {}' };
    const made = await plan(manifest, files);
    assert.deepEqual([made.buildCommand, made.outputDirectory], ['npm run docs:build', 'docs/.vitepress/dist']);
    const bare = await plan({ devDependencies: { vitepress: '1' } }, files);
    assert.deepEqual([bare.buildCommand, bare.outputDirectory], ['vitepress build docs', 'docs/.vitepress/dist']);
    const here = await plan({ ...manifest, scripts: { build: 'vitepress build' } }, { '.vitepress/config.ts': '' });
    assert.deepEqual([here.buildCommand, here.outputDirectory], ['npm run build', '.vitepress/dist']);
    const other = await plan({ ...manifest, scripts: { 'docs:build': 'vitepress build site' } });
    assert.equal(other.outputDirectory, 'site/.vitepress/dist');
  });
});

describe('Angular', () => {
  const angular = (options: object, more = {}): Files => ({
    'angular.json': JSON.stringify({
      projects: {
        ui: { projectType: 'library', architect: { build: { builder: '@angular/build:ng-packagr' } } },
        shop: { projectType: 'application', architect: { build: { builder: '@angular/build:application', options } } },
        ...more,
      },
    }),
  });
  const manifest = { name: 'shop-frontend', scripts: { build: 'ng build' }, dependencies: { '@angular/core': '20' } };
  const ssr = { ...manifest, dependencies: { ...manifest.dependencies, '@angular/ssr': '20' } };

  test('the output folder is named after the project, not after the package', async () => {
    assert.deepEqual(site(await plan(manifest, angular({}))), [
      'static',
      'dist/shop/browser',
      '/index.csr.html /index.html',
    ]);
  });

  test('an output path can be explicit, without a folder of its own for the browser', async () => {
    const made = await plan(manifest, angular({ outputPath: { base: 'out', browser: '' } }));
    assert.equal(made.outputDirectory, 'out');
    assert.equal((await plan(manifest, angular({ outputPath: 'www' }))).outputDirectory, 'www/browser');
    assert.equal((await plan(manifest, angular({ outputPath: '../etc' }))).outputDirectory, 'dist/browser');
  });

  test('with @angular/ssr the app is a server, unless the build renders all pages', async () => {
    assert.equal((await plan(ssr, angular({ outputMode: 'server' }))).startCommand, 'node dist/shop/server/server.mjs');
    assert.equal((await plan(ssr, angular({ outputMode: 'static' }))).outputDirectory, 'dist/shop/browser');
  });

  test('the app that the script builds is used among several', async () => {
    const more = {
      admin: { projectType: 'application', architect: { build: { builder: '@angular/build:application' } } },
    };
    const made = await plan({ ...manifest, scripts: { build: 'ng build admin' } }, angular({}, more));
    assert.equal(made.outputDirectory, 'dist/admin/browser');
  });
});

describe('Vite', () => {
  const vite = { devDependencies: { vite: '8' } };
  const folder = async (config: string, manifest: object = vite): Promise<string | undefined> =>
    (await plan(manifest, { 'vite.config.ts': config })).outputDirectory;

  test('root and output folder of the configuration are combined', async () => {
    assert.equal(await folder("{ root: 'client' }"), 'client/dist');
    assert.equal(await folder("{ root: './client', build: { outDir: '../dist' } }"), 'dist');
    assert.equal(
      await folder("{ root: 'src', build: { outDir: path.resolve(__dirname, 'public_html') } }"),
      'public_html',
    );
    assert.equal(await folder('{}', { ...vite, scripts: { build: 'vite build --outDir www' } }), 'www');
  });

  test('an output folder outside the build context is an error before the build, but one in the workspace is used', async () => {
    const error = await refusal(vite, { 'vite.config.ts': "{ build: { outDir: '../public' } }" });
    assert.match(error.message, /vite\.config\.ts writes the build to \.\.\/public, outside the build context/);
    const member = {
      'apps/web/package.json': JSON.stringify({ name: 'web', ...vite }),
      'apps/web/index.html': '',
      'apps/web/vite.config.ts': "{ build: { outDir: '../../dist/web' } }",
    };
    const made = await plan({ workspaces: ['apps/*'] }, member);
    assert.match(made.dockerfile.text, /--from=build \S+ \/app\/dist\/web\/ /);
  });

  test('a page that loads sources is not served as it is', async () => {
    for (const src of ['/src/main.js', '/src/main.tsx', './main.ts', 'app.jsx']) {
      const page = `<!doctype html><script type="module" crossorigin src="${src}"></script>`;
      const error = await repository.plan({ 'index.html': page }).then(
        () => assert.fail(src),
        (thrown: unknown) => String(thrown),
      );
      assert.ok(error.includes(`index.html loads ${src}, which a build must produce first`), error);
      assert.equal((await repository.plan({ 'index.html': page }, { outputDirectory: '.' })).runtime, 'static');
    }
    for (const src of ['app.js', 'src/app.js', 'https://cdn.example/x.ts?a', '/assets/index-BfX3a9_k.js']) {
      assert.equal((await repository.plan({ 'index.html': `<script src="${src}"></script>` })).runtime, 'static', src);
    }
  });

  test('a project of Nx is an error that asks for its build command, both at the root and in its folder', async () => {
    const files = {
      'nx.json': '{}',
      'apps/web/project.json': '{"name":"web"}',
      'apps/web/index.html': '<script type="module" src="/src/main.tsx"></script>',
      'apps/web/vite.config.ts': '',
    };
    const mend =
      /keep the folder of nx\.json as the root directory, and set buildCommand \(for example "nx build web"\)/;
    assert.match((await refusal(vite, files)).message, mend);
    assert.match((await refusal(vite, files, { rootDirectory: 'apps/web' })).message, mend);
    const told = await plan(vite, files, { buildCommand: 'nx build web', outputDirectory: 'dist/apps/web' });
    assert.match(told.dockerfile.text, /RUN nx build web\n[^]* \/app\/dist\/apps\/web\/ /);
  });
});

describe('a compiled server', () => {
  test('from AdonisJS starts in its build folder and needs APP_KEY', async () => {
    const scripts = { start: 'node bin/server.js', build: 'node ace build' };
    const adonis = { dependencies: { '@adonisjs/core': '6' }, devDependencies: { vite: '6' } };
    const made = await plan({ ...adonis, scripts }, { 'bin/server.ts': '' });
    assert.deepEqual([made.framework, made.startCommand, made.port], ['AdonisJS', 'node build/bin/server.js', 3333]);
    assert.match(made.dockerfile.text, /^ENV .*\bHOST=0\.0\.0\.0\b/m);
    assert.match(made.warnings.join(), /^AdonisJS needs APP_KEY: [^,]*`node ace generate:key --show` makes one\.$/);
    const start = 'node ace migration:run --force && cd build && node bin/server.js';
    const own = await plan({ ...adonis, scripts: { ...scripts, start } }, { 'bin/server.ts': '' });
    assert.equal(own.startCommand, start);
  });

  test('causes a warning if its start script names a file that exists only as TypeScript', async () => {
    const started = async (start: string, ...files: string[]): Promise<string> =>
      (await plan({ scripts: { start } }, Object.fromEntries(files.map((file) => [file, ''])))).warnings.join();
    const warning = /^package\.json scripts\.start runs src\/server\.js, but the repository has src\/server\.ts\. /;
    assert.match(await started('node src/server.js', 'src/server.ts'), warning);
    assert.match(await started('A=1 node --enable-source-maps ./src/server.js 80', 'src/server.ts'), warning);
    assert.equal(await started('node src/server.js', 'src/server.ts', 'src/server.js'), '');
    assert.equal(await started('node dist/server.js', 'src/server.ts'), '');
    assert.equal(await started('cd build && node src/server.js', 'src/server.ts'), '');
  });
});

describe('a site built for a base path', () => {
  const CASES: readonly [name: string, manifest: object, files: (path: string) => Files][] = [
    ['Vite', { devDependencies: { vite: '8' } }, (path) => ({ 'vite.config.ts': `{ base: '${path}' }` })],
    [
      'Docusaurus',
      { dependencies: { '@docusaurus/core': '3' } },
      (path) => ({ 'docusaurus.config.js': `{ baseUrl: "${path}" }` }),
    ],
    [
      'Vue CLI',
      { devDependencies: { '@vue/cli-service': '5' } },
      (path) => ({ 'vue.config.js': `{ publicPath: '${path}' }` }),
    ],
    ['Astro', { dependencies: { astro: '5' } }, (path) => ({ 'astro.config.mjs': `{ base: '${path}' }` })],
    [
      'VitePress',
      { devDependencies: { vitepress: '1' } },
      (path) => ({ '.vitepress/config.mts': `{ base: '${path}', themeConfig: { sidebar: [{ base: '/guide/' }] } }` }),
    ],
    [
      'Next.js',
      { dependencies: { next: '16' } },
      (path) => ({ 'next.config.mjs': `{ output: 'export', basePath: '${path}' }` }),
    ],
    [
      'Angular',
      { dependencies: { '@angular/core': '20' } },
      (path) => ({
        'angular.json': JSON.stringify({ projects: { a: { architect: { build: { options: { baseHref: path } } } } } }),
      }),
    ],
  ];
  const warned = ({ warnings }: BuildPlan): string =>
    /expects the site at the path (\S+), but /.exec(warnings.join())?.[1] ?? '';

  for (const [name, manifest, files] of CASES) {
    test(`by ${name} causes a warning, unless the path is the root`, async () => {
      assert.equal(warned(await plan(manifest, files('/repo/'))), '/repo/');
      assert.equal(warned(await plan(manifest, files('/'))), '');
    });
  }

  test('through the homepage of Create React App or a build option causes a warning, too', async () => {
    const react = { dependencies: { 'react-scripts': '5' } };
    const home = async (homepage: unknown): Promise<string> => warned(await plan({ ...react, homepage }));
    assert.equal(await home('https://me.example/repo'), '/repo');
    for (const fine of ['https://me.example', 'https://me.example/', '.', '/', 7]) assert.equal(await home(fine), '');
    const angular = { scripts: { build: 'ng build --base-href /x/' }, dependencies: { '@angular/core': '20' } };
    assert.equal(warned(await plan(angular)), '/x/');
    const vite = { scripts: { build: 'vite build --base=/y/' }, devDependencies: { vite: '8' } };
    assert.equal(warned(await plan(vite)), '/y/');
  });

  test('causes no warning if a server starts', async () => {
    const server = {
      scripts: { start: 'node server.js' },
      devDependencies: { vite: '8' },
      dependencies: { express: '5' },
    };
    assert.equal(warned(await plan(server, { 'vite.config.ts': "{ base: '/repo/' }" })), '');
  });
});

test('heroku-postbuild is the build command if there is no other', async () => {
  const scripts = { start: 'node server.js', 'heroku-postbuild': 'cd client && npm ci && npm run build' };
  const made = await plan({ scripts }, { 'server.js': '' });
  assert.equal(made.buildCommand, 'npm run heroku-postbuild');
  assert.equal((await plan({ scripts: { ...scripts, build: 'tsc' } })).buildCommand, 'npm run build');
});
