/** Start scripts for development, and what runs the app instead. */
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

const plan = (manifest: object, files: Files = {}): Promise<BuildPlan> =>
  repository.plan({ 'package.json': JSON.stringify(manifest), 'package-lock.json': '{}', ...files });
const started = (start: string, more: object = {}, files: Files = {}): Promise<BuildPlan> =>
  plan({ scripts: { start }, ...more }, files);

const refusal = (manifest: object, files: Files = {}): Promise<string> =>
  plan(manifest, files).then(
    () => assert.fail('a plan was made'),
    (error: unknown) => (error instanceof OrkestrError ? error.message : assert.fail(String(error))),
  );

describe('a watcher', () => {
  const STRIPPED: Readonly<Record<string, string>> = {
    'nodemon index.js': 'node index.js',
    'nodemon bin/www': 'node bin/www',
    'npx nodemon --watch src -e ts,js src/index.ts': 'ts-node src/index.ts',
    'nodemon --exec ts-node src/index.ts': 'ts-node src/index.ts',
    'nodemon --watch src --exec "npm run compile && node dist/index.js"': 'npm run compile && node dist/index.js',
    'nodemon -C -L app.js': 'node app.js',
    'nodemon -r dotenv/config server.js': 'node -r dotenv/config server.js',
    'A=1 node --watch --env-file .env server.js 80': 'A=1 node --env-file .env server.js 80',
    'node migrate.js && node --watch-path=./src server.js': 'node migrate.js && node server.js',
    'npx tsx watch --clear-screen=false --ignore a src/main.ts': 'npx tsx src/main.ts',
    'bun run --hot src/main.ts': 'bun run src/main.ts',
  };
  for (const [start, command] of Object.entries(STRIPPED)) {
    test(`in ${start} is removed, with a notice`, async () => {
      const made = await started(start);
      assert.equal(made.startCommand, command);
      assert.match(
        made.warnings.join(),
        /^package\.json scripts\.start watches files .* orkestr runs `[^`]+` instead\. /,
      );
    });
  }

  test('is also removed from a script that start calls and from the Procfile', async () => {
    const called = await plan({ scripts: { start: 'npm run dev', dev: 'nodemon server.js' } });
    assert.equal(called.startCommand, 'node server.js');
    assert.match(called.warnings.join(), /scripts\.dev watches/);
    const procfile = await plan({}, { Procfile: 'web: node --watch server.js\n' });
    assert.equal(procfile.startCommand, 'node server.js');
  });

  for (const start of [
    'nodemon',
    'A=1 nodemon --exec "a && b"',
    'nodemon app.js -e js',
    'nodemon app.js | pino',
    'ts-node-dev --respawn app.ts',
  ]) {
    test(`in ${start} stays, with a warning about its behaviour after a crash`, async () => {
      const made = await started(start);
      assert.equal(made.startCommand, start);
      assert.match(made.warnings.join(), /scripts\.start watches files: after a crash .* Set startCommand/);
    });
  }

  test('with settings of its own stays, because it may run something else', async () => {
    for (const [more, files] of [
      [{ nodemonConfig: { exec: 'coffee' } }, {}],
      [{}, { 'nodemon.json': '{}' }],
    ] as const) {
      const made = await started('nodemon app.js', more, files);
      assert.equal(made.startCommand, 'nodemon app.js');
      assert.match(made.warnings.join(), /after a crash/);
    }
  });

  test('is not searched for in a stated start command, nor in file names', async () => {
    const files = { 'package.json': JSON.stringify({ scripts: { start: 'nodemon a.js' } }), 'package-lock.json': '{}' };
    const made = await repository.plan(files, { startCommand: 'nodemon b.js' });
    assert.deepEqual([made.startCommand, made.warnings], ['nodemon b.js', []]);
    assert.deepEqual((await started('node watch.js')).warnings, []);
    assert.deepEqual((await started('node tools/nodemon.js')).warnings, []);
  });
});

test('pm2 runs in the foreground, so that the container does not exit after the start', async () => {
  const more = { devDependencies: { pm2: '6', tap: '1' } };
  const made = await started('pm2 start ecosystem.config.js -i max', more);
  assert.equal(made.startCommand, 'pm2-runtime start ecosystem.config.js -i max');
  assert.match(made.warnings.join(), /development dependencies stay in the image: the start command needs pm2\./);
  assert.equal((await started('pm2 start app.js --no-daemon')).startCommand, 'pm2 start app.js --no-daemon');
});

test('NODE_ENV=development causes a warning', async () => {
  const made = await started('cross-env NODE_ENV=development node server.js');
  assert.match(made.warnings.join(), /scripts\.start runs the app with NODE_ENV=development/);
  assert.deepEqual((await started('cross-env NODE_ENV=production node server.js')).warnings, []);
});

describe('a development server', () => {
  test('of a wrapper around react-scripts is not started, and its build is served', async () => {
    for (const tool of ['craco', 'react-app-rewired', 'rescripts']) {
      const scripts = { start: `${tool} start`, build: `${tool} build` };
      const made = await plan({ scripts, dependencies: { 'react-scripts': '5' } });
      assert.deepEqual([made.runtime, made.outputDirectory, made.buildCommand], ['static', 'build', 'npm run build']);
    }
  });

  const BUNDLERS: readonly [start: string, build: string, files: Files, folder: string][] = [
    ['webpack serve --open', 'webpack', {}, 'dist'],
    ['cross-env NODE_ENV=development webpack-dev-server', 'webpack', {}, 'dist'],
    [
      'webpack serve',
      'webpack --mode production',
      { 'webpack.config.js': "module.exports = { output: { path: path.resolve(__dirname, 'public/build') } };" },
      'public/build',
    ],
    ['webpack serve', 'webpack --output-path ./out/', {}, 'out'],
    ['parcel src/index.html', 'parcel build src/index.html --dist-dir www', {}, 'www'],
    ['ember serve', 'ember build --environment=production', {}, 'dist'],
    ['expo start --web', 'expo export -p web', {}, 'dist'],
  ];
  for (const [start, build, files, folder] of BUNDLERS) {
    test(`like ${start} is not started, and the output of \`${build}\` in ${folder} is served`, async () => {
      const made = await plan({ scripts: { start, build }, devDependencies: { webpack: '5' } }, files);
      assert.deepEqual([made.runtime, made.outputDirectory, made.startCommand], ['static', folder, undefined]);
      assert.equal(made.confidence, 'likely');
      assert.match(
        made.warnings.join(),
        /is a development server, so orkestr serves the files that the build writes to \S+\. /,
      );
    });
  }

  test('without a build, beside a library that serves, or of a platform is an error that says what to set', async () => {
    const mend = /scripts\.start is a development server: set startCommand, or buildCommand and outputDirectory/;
    const entry = { 'src/index.js': '' };
    assert.match(await refusal({ scripts: { start: 'parcel src/index.html' } }, entry), mend);
    const scripts = { start: 'wrangler dev', build: 'tsc' };
    assert.match(await refusal({ scripts, dependencies: { hono: '4' } }, entry), mend);
    const beside = { scripts: { start: 'webpack serve', build: 'webpack' }, dependencies: { express: '5' } };
    assert.match(await refusal(beside, entry), mend);
  });

  test('for finished pages is not started, and the pages are served', async () => {
    const made = await plan({ scripts: { start: 'live-server' } }, { 'index.html': '<h1>hello</h1>' });
    assert.deepEqual([made.detector, made.outputDirectory], ['static', '.']);
  });

  test('that runs beside a server is left as it is', async () => {
    const start = 'webpack serve & node server.js';
    assert.equal((await started(start)).startCommand, start);
  });
});
