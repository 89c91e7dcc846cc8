import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { BuildPlan } from '../../protocol/steps.ts';
import { BUILT, PLANNED_ONLY } from '../../test/apps/apps.ts';
import { planFile, PLANNED, planOf } from '../../test/fixtures/plan-of.ts';
import { RepositoryFolder } from './test-repository.ts';
import { DETECTORS } from './index.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];

const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);
const evidence = ({ evidence }: BuildPlan, subject: string): string =>
  evidence
    .filter((one) => one.subject === subject)
    .map(({ value, from }) => `${value} (${from})`)
    .join(', ');
const json = (value: unknown): string => JSON.stringify(value);

async function refusal(files: Files, settings = {}): Promise<OrkestrError> {
  const error = await plan(files, settings).then(
    () => assert.fail('a plan was made'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OrkestrError, String(error));
  return error;
}

describe('plans of the fixture apps', () => {
  for (const name of PLANNED) {
    test(`${name} is planned as its golden file says`, async () => {
      const golden: unknown = JSON.parse(await readFile(planFile(name), 'utf8'));
      assert.deepEqual(BuildPlan.parse(await planOf(name)), golden);
    });
  }

  test('each detector and each framework that it can name has a fixture app', async () => {
    const plans = await Promise.all(PLANNED.map(planOf));
    const shown = new Set(plans.map(({ detector, framework }) => `${detector}: ${framework}`));
    const known = DETECTORS.flatMap(({ name, frameworks }) => frameworks.map((framework) => `${name}: ${framework}`));
    assert.deepEqual([...shown].toSorted(), [...new Set(known)].toSorted());
  });

  test('each fixture app is built by e2e:apps, or it says why it is not', () => {
    assert.deepEqual([...Object.keys(BUILT), ...Object.keys(PLANNED_ONLY)].toSorted(), PLANNED);
  });

  test('every generated Dockerfile runs as a user without a name, in exec form, on pinned images', async () => {
    for (const name of PLANNED) {
      const { dockerfile } = await planOf(name);
      if (dockerfile.origin === 'repository') continue;
      const last = dockerfile.text.split(/^FROM /m).at(-1) ?? '';
      assert.match(last, /^USER 10001:10001$/m, name);
      assert.match(last, /^STOPSIGNAL SIG[A-Z]+$/m, name);
      assert.match(last, /^ENTRYPOINT \[\]\nCMD \[".*\]$/m, name);
      for (const [, image = ''] of dockerfile.text.matchAll(/^FROM (\S+)/gm)) {
        assert.match(image, /:[a-z]*-?\d|^debian:trixie-slim$|^(?:deno|php)$/, `${name}: ${image}`);
      }
    }
  });

  test('nothing-detected fails with what was looked for, by each detector', async () => {
    await assert.rejects(planOf('nothing-detected'), (error: unknown) => {
      assert.ok(error instanceof OrkestrError);
      assert.equal(error.code, 'ORK_NOTHING_DETECTED');
      for (const { name } of DETECTORS) assert.match(error.message, new RegExp(`\\b${name}: `));
      return true;
    });
  });
});

describe('settings of the environment', () => {
  const app = { 'package.json': json({ scripts: { start: 'node a.js --port 4000' } }), 'a.js': '' };

  test('override start command and port, and their evidence says so', async () => {
    const made = await plan(app, { startCommand: 'node b.js', port: { value: 5000, from: 'environment setting' } });
    assert.equal(made.startCommand, 'node b.js');
    assert.equal(made.port, 5000);
    assert.match(made.dockerfile.text, /CMD \["node","b\.js"\]/);
    assert.equal(evidence(made, 'start'), 'node b.js (environment setting)');
    assert.equal(evidence(made, 'port'), '5000 (environment setting)');
  });

  test('the port of a static site goes into the nginx configuration', async () => {
    const made = await plan({ 'index.html': '' }, { port: { value: 9000, from: 'environment setting' } });
    assert.match(made.files.find(({ path }) => path === '.orkestr/nginx.conf')?.text ?? '', /listen 9000;/);
  });

  test('name another Dockerfile', async () => {
    const made = await plan(
      { ...app, 'docker/web.Dockerfile': 'FROM a:1\nEXPOSE 80' },
      { dockerfile: 'docker/web.Dockerfile' },
    );
    assert.deepEqual([made.detector, made.dockerfile.path, made.port], ['dockerfile', 'docker/web.Dockerfile', 80]);
  });

  test('a Dockerfile that they name and that is not there is an error, not another detector', async () => {
    const error = await refusal(app, { dockerfile: 'docker/Dockerfile' });
    assert.equal(error.code, 'ORK_MANIFEST_INVALID');
    assert.match(error.message, /docker\/Dockerfile/);
  });
});

describe('detector dockerfile', () => {
  test('a Dockerfile wins over everything else', async () => {
    const made = await plan({ Dockerfile: 'FROM x:1', 'package.json': json({ scripts: { start: 'node a' } }) });
    assert.equal(made.detector, 'dockerfile');
    assert.deepEqual(made.files, []);
  });

  test('what stands in a here-document is no instruction', async () => {
    const text =
      'FROM a AS web\nCOPY <<-"A" <<B /x/\nFROM b\n\tA\nEXPOSE 1\nB\nRUN cat <<C\nUSER x\n C\nEXPOSE 2\nC\nEXPOSE 3\n';
    const made = await plan({ Dockerfile: text });
    assert.equal(evidence(made, 'runtime'), 'a (Dockerfile line 1)');
    assert.equal(evidence(made, 'port'), '3 (Dockerfile line 12)');
    const shift = await plan({ Dockerfile: 'FROM a\nRUN echo $((1<<BITS)) <<NONE\nEXPOSE 4\n' });
    assert.equal(shift.port, 4);
  });

  test('a Dockerfile is found under the other names that it has', async () => {
    for (const name of ['dockerfile', 'Containerfile'])
      assert.equal((await plan({ [name]: 'FROM x:1' })).dockerfile.path, name);
    assert.equal((await plan({ Dockerfile: 'FROM x:1', Containerfile: 'FROM y:1' })).dockerfile.path, 'Dockerfile');
  });

  test('what it is made from in the end is its runtime, not the name of a stage', async () => {
    const made = await plan({ Dockerfile: 'ARG V=3.4\nFROM ruby:$V AS base\nFROM base AS build\nFROM base\n' });
    assert.equal(evidence(made, 'runtime'), 'ruby:$V (Dockerfile line 2)');
  });

  test('only the ports of the last stage count', async () => {
    const made = await plan({
      Dockerfile: 'FROM a AS build\nEXPOSE 1\nfrom --platform=linux/amd64 b\nexpose 3000/tcp 53/udp',
    });
    assert.equal(made.port, 3000);
    assert.equal(evidence(made, 'runtime'), 'b (Dockerfile line 3)');
    assert.equal(evidence(made, 'port'), '3000 (Dockerfile line 4)');
  });

  test('several ports are a warning and none is taken', async () => {
    const made = await plan({ Dockerfile: 'FROM a\nEXPOSE 3000 9229' });
    assert.equal(made.port, undefined);
    assert.match(made.warnings.join(), /several ports/);
  });

  test('one without FROM is named', async () => {
    assert.match((await refusal({ Dockerfile: '# empty\n' })).message, /Dockerfile has no FROM/);
  });
});

describe('detector node', () => {
  const start = { scripts: { start: 'node server.js' } };
  const node = async (manifest: object, files: Files = {}, settings = {}): Promise<BuildPlan> =>
    plan({ 'package.json': json(manifest), ...files }, settings);

  test('a start script is run directly, without npm between the engine and the app', async () => {
    assert.match((await node(start)).dockerfile.text, /CMD \["node","server\.js"\]/);
  });

  test('what npm would run before start comes along', async () => {
    const made = await node({ scripts: { prestart: 'node migrate.js', start: 'node server.js' } });
    assert.match(made.dockerfile.text, /CMD \["sh","-c","node migrate\.js && exec node server\.js"\]/);
  });

  test('a script that calls another one is followed, also in a circle', async () => {
    const made = await node({ scripts: { start: 'npm run serve', serve: 'node serve.js' } });
    assert.equal(evidence(made, 'start'), 'node serve.js (package.json scripts.serve)');
    const circle = await refusal({ 'package.json': json({ scripts: { start: 'npm run a', a: 'npm run start' } }) });
    assert.equal(circle.code, 'ORK_NOTHING_DETECTED');
  });

  test('main, and then a well-known file, start it when no script does', async () => {
    assert.equal((await node({ main: './lib/app.js' }, { 'lib/app.js': '' })).startCommand, 'node lib/app.js');
    assert.equal((await node({ main: 'gone.js' }, { 'index.js': '' })).startCommand, 'node index.js');
  });

  test('a package.json that starts nothing is not an app', async () => {
    assert.match((await refusal({ 'package.json': '{}' })).message, /no start script/);
  });

  test('a Procfile says it before the scripts do', async () => {
    const made = await node(start, { Procfile: 'worker: node w.js\nweb: node web.js' });
    assert.equal(evidence(made, 'start'), 'node web.js (Procfile)');
  });

  test('a port in the start script is found', async () => {
    const made = await node({ scripts: { start: 'PORT=4000 node server.js' } });
    assert.equal(evidence(made, 'port'), '4000 (package.json scripts.start)');
  });

  const withDependency = { ...start, dependencies: { koa: '1' }, devDependencies: { typescript: '5' } };

  test('each lockfile brings its package manager, and the manifests are copied before the sources', async () => {
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

  test('what a package manager reads beside them is copied with the manifests', async () => {
    const files = { 'pnpm-lock.yaml': '', '.npmrc': '', '.pnpmfile.cjs': '', 'bunfig.toml': '', 'server.js': '' };
    const { text } = (await node(withDependency, files)).dockerfile;
    assert.match(text, /^COPY package\.json pnpm-lock\.yaml \.npmrc \.pnpmfile\.cjs bunfig\.toml \.\/$/m);
  });

  test('no lockfile is a warning', async () => {
    assert.match((await node(withDependency)).warnings.join(), /no lockfile/);
  });

  test('with a build script everything is installed, and development packages are taken out after it', async () => {
    const manifest = { ...withDependency, scripts: { build: 'tsc', start: 'node dist/main.js' } };
    const { text } = (await node(manifest, { 'package-lock.json': '' })).dockerfile;
    assert.match(text, /npm ci\nCOPY \. \.\nRUN npm run build\nRUN \S+ npm prune --omit=dev --ignore-scripts\n/);
  });

  test("an app's own install scripts wait for all files, so that the install does not", async () => {
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

  test('Prisma makes its client at the install, from its schema, unless a script does it later', async () => {
    const prisma = { ...start, dependencies: { '@prisma/client': '6' } };
    assert.match((await node(prisma)).dockerfile.text, /COPY \. \.\nRUN \S+ npm install/);
    const later = { ...prisma, scripts: { ...start.scripts, build: 'prisma generate && tsc' } };
    assert.match((await node(later)).dockerfile.text, /COPY package\.json \.\/\nRUN \S+ npm install/);
  });

  test('what runs before the install, scripts beside those of members, and folders as dependencies get all files first', async () => {
    const sourcesFirst = /COPY \. \.\nRUN \S+ npm install\n/;
    const before = await node({ ...withDependency, scripts: { ...start.scripts, preinstall: 'node fix.js' } });
    assert.match(before.dockerfile.text, sourcesFirst);
    const prepared = { ...withDependency, scripts: { ...start.scripts, prepare: 'node fix.js' } };
    assert.match((await node({ ...prepared, workspaces: ['packages/*'] })).dockerfile.text, sourcesFirst);
    assert.match((await node({ ...prepared, engines: { node: '14' } })).dockerfile.text, sourcesFirst);
    const linked = await node({ ...withDependency, dependencies: { ours: 'file:./ours' } });
    assert.match(linked.dockerfile.text, /COPY \. \.\nRUN/);
  });

  test('a start command from a development package keeps those packages', async () => {
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

  test('the folder of a Vite build is read from its configuration, and a hostile one is not', async () => {
    const vite = { devDependencies: { vite: '8' } };
    const made = await node(vite, { 'vite.config.ts': "export default { build: { outDir: './public_html' } }" });
    assert.match(made.dockerfile.text, /--from=build \S+ \/app\/public_html\/ /);
    for (const outDir of ['/etc', 'a b; rm']) {
      const hostile = await node(vite, { 'vite.config.ts': `export default { build: { outDir: '${outDir}' } }` });
      assert.match(hostile.dockerfile.text, / \/app\/dist\/ /);
    }
    for (const outDir of ['../../etc', 'dist/../../../etc']) {
      const error = await refusal({
        'package.json': json(vite),
        'vite.config.ts': `export default { build: { outDir: '${outDir}' } }`,
      });
      assert.match(error.message, /vite\.config\.ts puts the build into [./]+etc, outside of what is built/);
    }
  });
});

describe('detector python', () => {
  test('Flask is served by gunicorn when that is listed', async () => {
    const made = await plan({ 'requirements.txt': 'Flask==3\ngunicorn', 'app.py': 'web = flask.Flask(__name__)' });
    assert.equal(made.framework, 'Flask');
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT app:web');
    assert.match(made.dockerfile.text, /COPY requirements\.txt \.\/\nRUN \S+ pip install -r requirements\.txt/);
  });

  test('without a server the development one is used, with a warning', async () => {
    const made = await plan({ 'requirements.txt': 'flask', 'app.py': 'app = Flask(__name__)' });
    assert.match(made.startCommand ?? '', /flask --app app:app run/);
    assert.match(made.warnings.join(), /gunicorn is not listed/);
  });

  test('FastAPI from pyproject.toml is served by uvicorn, and its dependencies are installed', async () => {
    const made = await plan({
      'pyproject.toml':
        '[project]\nname = "x"\nrequires-python = ">=3.14"\ndependencies = ["fastapi[standard]>=0.100"]\n',
      'app/main.py': 'api: FastAPI = FastAPI()',
    });
    assert.equal(made.startCommand, 'uvicorn --host 0.0.0.0 --port $PORT app.main:api');
    assert.deepEqual(
      made.files.find(({ path }) => path.endsWith('requirements.txt'))?.text,
      'fastapi[standard]>=0.100\n',
    );
    assert.match(made.dockerfile.text, /^FROM python:3\.14-slim-trixie$/m);
  });

  test('Django is known by manage.py and served by its wsgi module', async () => {
    const made = await plan({
      'requirements.txt': '-r base.txt\n',
      'base.txt': 'Django>=5\ngunicorn>=20',
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
    });
    assert.equal(made.framework, 'Django');
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application');
    assert.match(made.dockerfile.text, /COPY \. \.\nRUN/);
  });

  test('a Procfile says it first', async () => {
    const made = await plan({
      'requirements.txt': 'flask',
      Procfile: 'web: waitress-serve --port=$PORT app:app',
      'app.py': '',
    });
    assert.equal(evidence(made, 'start'), 'waitress-serve --port=$PORT app:app (Procfile)');
  });

  test('an entry file alone is enough', async () => {
    const made = await plan({ 'server.py': 'print()' });
    assert.equal(made.startCommand, 'python server.py');
    assert.equal(made.installCommand, undefined);
  });

  test('a library without anything to start is not an app', async () => {
    assert.match((await refusal({ 'pyproject.toml': '[project]\nname = "x"\n' })).message, /no manage\.py/);
  });
});

describe('detector go', () => {
  const mod = 'module example.com/shop/v2\n\ngo 1.19\n';

  test('a main package in the root', async () => {
    const made = await plan({ 'go.mod': mod, 'main.go': '// licence\npackage main' });
    assert.match(made.buildCommand ?? '', / \.$/);
    assert.doesNotMatch(made.dockerfile.text, /go mod download/);
  });

  test('of several in cmd/ the one named like the module, with a warning', async () => {
    const made = await plan({
      'go.mod': `${mod}require example.com/x v1.0.0\n`,
      'go.sum': '',
      'lib.go': 'package shop',
      'cmd/migrate/main.go': 'package main',
      'cmd/shop/main.go': 'package main',
    });
    assert.match(made.buildCommand ?? '', / \.\/cmd\/shop$/);
    assert.match(made.warnings.join(), /\.\/cmd\/migrate/);
    assert.match(made.dockerfile.text, /COPY go\.mod go\.sum \.\/\nRUN \S+ go mod download/);
  });

  test('a module in a folder of the repository is there before anything is fetched', async () => {
    const replaced = `${mod}require example.com/x v1.0.0\nreplace example.com/x => ./x\n`;
    const made = await plan({ 'go.mod': replaced, 'main.go': 'package main', 'x/go.mod': 'module example.com/x\n' });
    assert.doesNotMatch(made.dockerfile.text, /go mod download/);
  });

  test('tests and ignored files are no main package', async () => {
    const files = { 'go.mod': mod, 'x_test.go': 'package main', 'gen.go': '//go:build ignore\n\npackage main' };
    assert.match((await refusal(files)).message, /no main package/);
  });

  test('a newer go is the tag of the base image, or a warning where there is only one', async () => {
    const files = { 'go.mod': 'module x\n\ngo 1.22.1\n', 'main.go': 'package main' };
    const old = 'golang:1.19-bookworm';
    const made = await plan(files, { baseImages: { go: old }, madeHere: [old] });
    assert.match(made.warnings.join(' '), /asks for Go >=1\.22\.1.*Go 1\.19 cannot read this go\.mod/);
    assert.match(
      (await plan(files, { baseImages: { go: old } })).dockerfile.text,
      /^FROM golang:1\.22-bookworm AS build$/m,
    );
    // Go keeps what older modules rely on.
    assert.match((await plan(files)).dockerfile.text, /^FROM golang:1\.27-trixie AS build$/m);
  });
});

describe('detector static', () => {
  test('index.html in the root, or in a folder for finished sites', async () => {
    assert.equal(evidence(await plan({ 'index.html': '' }), 'output'), '. (index.html)');
    assert.match((await plan({ 'public/index.html': '' })).dockerfile.text, / public\/ \/srv\/www\//);
  });
});

describe('a Procfile', () => {
  test('that a language does not start by is a warning with what starts the app', async () => {
    const files = { 'go.mod': 'module x\n', 'main.go': 'package main', Procfile: 'web: bin/x -v\n' };
    assert.deepEqual((await plan(files)).warnings, [
      'The web line of the Procfile is not used: /usr/local/bin/app starts the app. Set startCommand if it needs another.',
    ]);
    assert.deepEqual((await plan(files, { startCommand: 'bin/x -v' })).warnings, []);
    const python = { 'app.py': '', 'requirements.txt': 'flask', Procfile: 'web: python app.py\n' };
    assert.deepEqual((await plan(python)).warnings, []);
  });
});

describe('several that match', () => {
  test('a warning names what else would have fitted, and why', async () => {
    const made = await plan({
      'package.json': json({ scripts: { start: 'node a.js' } }),
      'requirements.txt': 'flask',
      'app.py': 'app = Flask()',
    });
    assert.equal(made.detector, 'node');
    assert.match(made.warnings.join(), /python fits too \(Flask: requirements\.txt\)/);
  });
});

describe('manifests that cannot be read', () => {
  const broken: readonly [string, Files, RegExp][] = [
    [
      'package.json that is cut off',
      { 'package.json': '{\n  "scripts": {' },
      /package\.json cannot be read.*line 2 column/,
    ],
    [
      'package.json with a wrong type',
      { 'package.json': json({ scripts: { start: 7 } }) },
      /package\.json.*scripts\.start/,
    ],
    ['package.json that is a list', { 'package.json': '[]' }, /package\.json cannot be read/],
    [
      'pyproject.toml with a mistake',
      { 'pyproject.toml': '[project\n' },
      /pyproject\.toml cannot be read.*line 1 column/,
    ],
    ['go.mod without a module', { 'go.mod': 'go 1.19\n' }, /go\.mod cannot be read/],
    [
      'package.json that is not text',
      { 'package.json': Buffer.from([0xff, 0xfe, 0x00]) },
      /package\.json is not UTF-8/,
    ],
    ['package.json of two megabytes', { 'package.json': ' '.repeat(2_000_000) }, /package\.json is larger than/],
  ];
  for (const [name, files, message] of broken) {
    test(`${name}: the file and the place are named`, async () => {
      // Something else that would match must not hide it.
      const error = await refusal({ ...files, 'index.html': '' });
      assert.equal(error.code, 'ORK_MANIFEST_INVALID');
      assert.match(error.message, message);
    });
  }
});

describe('detector elixir', () => {
  const mix = (project: string): string =>
    `defmodule Shop.MixProject do\n  def project, do: [app: :shop, ${project}]\nend\n`;

  test('without dependencies the tools that fetch them are not fetched either', async () => {
    const made = await plan({ 'mix.exs': mix('version: "1.0.0"') });
    assert.doesNotMatch(made.dockerfile.text, /local\.hex/);
    const fetching = await plan({ 'mix.exs': mix('deps: [{:plug_cowboy, "~> 2.7"}]') });
    assert.match(fetching.dockerfile.text, /^RUN mix local\.hex --force && mix local\.rebar --force$/m);
  });

  test('a release that mix.exs names is built and started by that name, else mix knows its name', async () => {
    const own = await plan({ 'mix.exs': mix('releases: [web: [include_executables_for: [:unix]]]') });
    assert.match(own.buildCommand ?? '', /mix release web --overwrite$/);
    assert.equal(own.startCommand, 'bin/web start');
    assert.match(own.dockerfile.text, /\/rel\/web \/app$/m);
    const standard = await plan({ 'mix.exs': mix('version: "1.0.0"') });
    assert.match(standard.buildCommand ?? '', /mix release --overwrite$/);
    assert.equal(standard.startCommand, 'bin/shop start');
  });

  test('Phoenix with a database needs its address too, and the plan says so', async () => {
    const needs = async (deps: string, variables = {}): Promise<string[]> => {
      const { warnings } = await plan({ 'mix.exs': mix(`deps: [{:phoenix, "~> 1.8"}${deps}]`) }, { variables });
      return warnings.flatMap((warning) => /^Phoenix needs ([A-Z_]+): /.exec(warning)?.[1] ?? []);
    };
    assert.deepEqual(await needs(', {:ecto_sql, "~> 3.10"}'), ['DATABASE_URL', 'SECRET_KEY_BASE', 'PHX_HOST']);
    assert.deepEqual(await needs(', {:ecto_sqlite3, ">= 0.0.0"}'), ['DATABASE_PATH', 'SECRET_KEY_BASE', 'PHX_HOST']);
    assert.deepEqual(await needs('', { SECRET_KEY_BASE: 'x' }), ['PHX_HOST']);
  });

  test('dependencies are compiled under the configuration of production', async () => {
    const files = { 'mix.exs': mix('deps: [{:plug, "~> 1.16"}]'), 'config/config.exs': '', 'config/prod.exs': '' };
    const made = await plan(files);
    assert.match(made.dockerfile.text, /^COPY config\/config\.exs config\/prod\.exs config\/\nRUN .* mix deps\.get/m);
  });
});
