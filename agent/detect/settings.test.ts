import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../protocol/steps.ts';
import { describePlan } from './describe.ts';
import { jsonLines } from './json-lines.ts';
import { RepositoryFolder } from './test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

const json = (value: unknown): string => JSON.stringify(value, null, 2);
const app = { 'package.json': json({ scripts: { build: 'x', start: 'node a.js' }, dependencies: { koa: '2' } }) };
const from = (plan: BuildPlan, subject: string): string | undefined =>
  plan.evidence.find((one) => one.subject === subject)?.from;

describe('orkestr.json', () => {
  test('overrides the detection, and the evidence names its line', async () => {
    const said = { installCommand: 'npm i', buildCommand: 'make', startCommand: 'node b.js', port: 5000 };
    const plan = await folder.plan({ ...app, 'orkestr.json': json(said) });
    assert.deepEqual([plan.startCommand, plan.port, plan.portGuessed], ['node b.js', 5000, false]);
    assert.equal(from(plan, 'install'), 'orkestr.json line 2');
    assert.equal(from(plan, 'port'), 'orkestr.json line 5');
    assert.match(plan.dockerfile.text, /^RUN \S+ npm i\nRUN make\n/m);
    assert.match(plan.dockerfile.text, /CMD \["node","b\.js"\]/);
  });

  test('is overridden by settings of the environment, field by field', async () => {
    const files = { ...app, 'orkestr.json': json({ buildCommand: 'make', startCommand: 'node b.js' }) };
    const plan = await folder.plan(files, {
      startCommand: 'node c.js',
      port: { value: 80, from: 'environment setting' },
    });
    assert.deepEqual([from(plan, 'build'), from(plan, 'start')], ['orkestr.json line 2', 'environment setting']);
    assert.equal(plan.startCommand, 'node c.js');
  });

  test('turns an app into a site through its output folder, with client-side routes on request', async () => {
    const files = { ...app, 'orkestr.json': json({ outputDirectory: 'out/www', singlePage: true }) };
    const plan = await folder.plan(files);
    assert.deepEqual([plan.runtime, plan.outputDirectory], ['static', 'out/www']);
    assert.match(plan.dockerfile.text, / \/app\/out\/www\/ \/srv\/www\//);
    assert.match(plan.files.find(({ path }) => path.endsWith('nginx.conf'))?.text ?? '', /\$uri\/ \/index\.html;/);
  });

  test('selects a single detector, and the error for an unknown one lists the valid ones', async () => {
    const files = { ...app, 'index.html': '', 'orkestr.json': json({ detector: 'static' }) };
    assert.equal((await folder.plan(files)).detector, 'static');
    await assert.rejects(folder.plan({ ...files, 'orkestr.json': json({ detector: 'cobol' }) }), {
      code: 'ORK_MANIFEST_INVALID',
      message: /"cobol" \(orkestr\.json line 2\).*dockerfile, go/,
    });
  });

  test('sets the stage and build args of a Dockerfile, and args that look like secrets cause a warning', async () => {
    const dockerfile = { Dockerfile: 'FROM debian:12 AS app\nARG VERSION\n' };
    const said = { target: 'app', buildArgs: { VERSION: '1.10', NPM_TOKEN: 'x', MONKEY: 'y' } };
    const plan = await folder.plan({ ...dockerfile, 'orkestr.json': json(said) });
    assert.deepEqual([plan.target, plan.buildArgs], ['app', said.buildArgs]);
    const [warning, ...more] = plan.warnings;
    assert.match(
      warning ?? '',
      /buildArgs \(orkestr\.json line 3\) contains NPM_TOKEN, .*orkestr env set --build NPM_TOKEN=-/,
    );
    assert.deepEqual(more, []);
    const [last = ''] = describePlan(plan).slice(-1);
    assert.equal(
      last,
      "building the repository's own Dockerfile, stage app, with the build args VERSION, NPM_TOKEN, MONKEY",
    );
    const own = await folder.plan({ ...dockerfile, 'orkestr.json': json(said) }, { buildArgs: { VERSION: '2' } });
    assert.deepEqual(own.buildArgs, { VERSION: '2' }, 'args of the environment are taken as a whole');
    const none = await folder.plan({ ...app, 'orkestr.json': json({ target: 'app' }) });
    assert.match(none.warnings.join(), /target \(orkestr\.json line 2\) has no effect/);
  });

  const BROKEN: readonly [string, string, RegExp][] = [
    ['an extra comma', '{\n  "port": 1,\n}', /orkestr\.json cannot be read: it is not JSON.*line 3 column 1/],
    ['a wrong type', '{\n  "detector": "node",\n  "port": "80"\n}', /port \(line 3\)/],
    ['a build arg that is not text', '{\n  "buildArgs": { "VERSION": 1.10 }\n}', /buildArgs\.VERSION/],
    ['a build arg with an invalid name', '{\n  "buildArgs": { "A-B": "1" }\n}', /buildArgs/],
    ['an unknown field', '{\n  "port": 80,\n\n  "prot": 81\n}', /prot \(line 4\)/],
    ['a path outside the repository', '{\n  "dockerfile": "../Dockerfile"\n}', /dockerfile \(line 2\)/],
    ['a command of two lines', json({ buildCommand: 'a\nUSER root' }), /buildCommand \(line 2\): one line/],
    ['options of RUN', json({ buildCommand: '--network=host a' }), /buildCommand \(line 2\)/],
    ['a continued line', json({ installCommand: 'a \\' }), /installCommand \(line 2\)/],
    ['a here-document', json({ installCommand: 'cat <<X' }), /installCommand \(line 2\)/],
    ['an invalid version', json({ runtimeVersion: '22\nUSER root' }), /runtimeVersion \(line 2\)/],
  ];
  for (const [name, text, message] of BROKEN) {
    test(`with ${name} causes an error that names the line`, async () => {
      await assert.rejects(folder.plan({ ...app, 'orkestr.json': text }), { code: 'ORK_MANIFEST_INVALID', message });
    });
  }

  test('in a subfolder must not set a root directory', async () => {
    const files = { 'web/package.json': app['package.json'], 'web/orkestr.json': json({ rootDirectory: 'x' }) };
    await assert.rejects(folder.plan(files, { rootDirectory: 'web' }), { code: 'ORK_MANIFEST_INVALID' });
  });

  test('at the root applies to a folder without its own', async () => {
    const files = { 'web/package.json': app['package.json'], 'orkestr.json': json({ startCommand: 'node z.js' }) };
    assert.equal((await folder.plan(files, { rootDirectory: 'web' })).startCommand, 'node z.js');
  });
});

describe('the lines of JSON keys', () => {
  test('are those of the last occurrence if a key appears twice', () => {
    const text = '{\n "port": 1,\n "a": [{ "b": 1 }],\n "port":\n 2\n}';
    assert.equal(jsonLines(text).get('port'), 4);
  });

  test('are found for fields, lists and nested values', () => {
    const lines = jsonLines('{\n "a": {\n  "b": [1,\n   {"c": "}{\\"",\n "d": null}]\n },\n "e": 1\n}');
    assert.deepEqual(Object.fromEntries(lines), {
      a: 2,
      'a.b': 3,
      'a.b.0': 3,
      'a.b.1.c': 4,
      'a.b.1.d': 5,
      e: 7,
    });
  });

  test('are found without a stack overflow in deeply nested brackets', () => {
    const depth = 200_000;
    assert.equal(jsonLines(`${'['.repeat(depth)}${'1,'.repeat(depth)}1${']'.repeat(depth)}`).size, 0);
  });
});

test('a setting can name another Dockerfile, and then no other detector runs', async () => {
  const files = { 'package.json': '{', 'Dockerfile.prod': 'FROM a:1\n' };
  const plan = await folder.plan(files, { dockerfile: 'Dockerfile.prod' });
  assert.deepEqual([plan.detector, plan.warnings], ['dockerfile', []]);
});

test('a setting without effect on this kind of app causes a warning, and an effective one does not', async () => {
  const said = { installCommand: 'make deps', buildCommand: 'make app', outputDirectory: 'c', runtimeVersion: '22' };
  const own = await folder.plan({ Dockerfile: 'FROM a:1\n', 'orkestr.json': json(said) });
  assert.deepEqual(
    own.warnings.map((warning) => warning.replace(/ \(.*/, '')),
    ['installCommand', 'buildCommand', 'runtimeVersion', 'outputDirectory'],
  );
  const go = { 'go.mod': 'module x\n', 'main.go': 'package main' };
  const { warnings } = await folder.plan({
    ...go,
    'orkestr.json': json({ ...said, outputDirectory: undefined, runtimeVersion: '1.22' }),
  });
  assert.match(warnings.join(), /installCommand \(orkestr\.json line 2\) has no effect: an app of this kind \(go\)/);
  assert.deepEqual(
    (await folder.plan(app, { ...said, outputDirectory: undefined })).warnings.filter((one) =>
      one.includes('no effect'),
    ),
    [],
  );
});

test('a broken manifest of a less confident detector is shown, and does not stop a more confident one', async () => {
  const plan = await folder.plan({ Dockerfile: 'FROM a:1\n', 'package.json': '{' });
  assert.equal(plan.detector, 'dockerfile');
  assert.match(plan.warnings.join(), /detector node failed: package\.json cannot be read/);
});

test('a warning says that the release line of a Procfile does not run, and what to run instead', async () => {
  const Procfile = 'web: node a.js\nrelease: node migrate.js\n';
  const plan = await folder.plan({ ...app, Procfile });
  assert.match(
    plan.warnings.join(),
    /does not run the release line of the Procfile\..* startCommand to `node migrate\.js && node a\.js`\. A build cannot run it/,
  );
  const own = await folder.plan({ Dockerfile: 'FROM a:1\n', Procfile });
  assert.match(own.warnings.join(), /startCommand to `node migrate\.js && START-COMMAND`/);
  const done = { startCommand: 'node migrate.js && node a.js' };
  assert.doesNotMatch((await folder.plan({ ...app, Procfile }, done)).warnings.join(), /release line/);
  // Each push would run it several times at once.
  const worker = { ...app, Procfile: `${Procfile}worker: node w.js\n` };
  assert.doesNotMatch((await folder.plan(worker, { startCommand: 'node w.js' })).warnings.join(), /release line/);
  assert.deepEqual((await folder.plan({ Dockerfile: 'FROM a:1\n', Procfile: 'web: node a.js\n' })).warnings, []);
});
