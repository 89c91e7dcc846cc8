import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../protocol/steps.ts';
import { evidenceOf, RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);
const json = (value: unknown): string => JSON.stringify(value);

describe('settings of the environment', () => {
  const app = { 'package.json': json({ scripts: { start: 'node a.js --port 4000' } }), 'a.js': '' };

  test('override the start command and the port, and the evidence says so', async () => {
    const made = await plan(app, { startCommand: 'node b.js', port: { value: 5000, from: 'environment setting' } });
    assert.equal(made.startCommand, 'node b.js');
    assert.equal(made.port, 5000);
    assert.match(made.dockerfile.text, /CMD \["node","b\.js"\]/);
    assert.equal(evidenceOf(made, 'start'), 'node b.js (environment setting)');
    assert.equal(evidenceOf(made, 'port'), '5000 (environment setting)');
  });

  test('set the port of a static site in the nginx configuration', async () => {
    const made = await plan({ 'index.html': '' }, { port: { value: 9000, from: 'environment setting' } });
    assert.match(made.files.find(({ path }) => path === '.orkestr/nginx.conf')?.text ?? '', /listen 9000;/);
  });

  test('can name another Dockerfile', async () => {
    const made = await plan(
      { ...app, 'docker/web.Dockerfile': 'FROM a:1\nEXPOSE 80' },
      { dockerfile: 'docker/web.Dockerfile' },
    );
    assert.deepEqual([made.detector, made.dockerfile.path, made.port], ['dockerfile', 'docker/web.Dockerfile', 80]);
  });

  test('with a Dockerfile that is missing cause an error instead of another detector', async () => {
    const error = await repository.refusal(app, { dockerfile: 'docker/Dockerfile' });
    assert.equal(error.code, 'ORK_MANIFEST_INVALID');
    assert.match(error.message, /docker\/Dockerfile/);
  });
});

describe('a Procfile', () => {
  test('that a language ignores causes a warning that names what starts the app', async () => {
    const files = { 'go.mod': 'module x\n', 'main.go': 'package main', Procfile: 'web: bin/x -v\n' };
    assert.deepEqual((await plan(files)).warnings, [
      'orkestr does not use the web line of the Procfile: /usr/local/bin/app starts the app. If it needs another command, set startCommand.',
    ]);
    assert.deepEqual((await plan(files, { startCommand: 'bin/x -v' })).warnings, []);
    const python = { 'app.py': '', 'requirements.txt': 'flask', Procfile: 'web: python app.py\n' };
    assert.deepEqual((await plan(python)).warnings, []);
  });
});

describe('several matching detectors', () => {
  test('cause a warning that names what else would have matched, and why', async () => {
    const made = await plan({
      'package.json': json({ scripts: { start: 'node a.js' } }),
      'requirements.txt': 'flask',
      'app.py': 'app = Flask()',
    });
    assert.equal(made.detector, 'node');
    assert.match(made.warnings.join(), /python fits too \(Flask: requirements\.txt\)/);
  });
});

describe('unreadable manifests', () => {
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
    test(`the error for ${name} names the file and the place`, async () => {
      // Another matching file must not hide the error.
      const error = await repository.refusal({ ...files, 'index.html': '' });
      assert.equal(error.code, 'ORK_MANIFEST_INVALID');
      assert.match(error.message, message);
    });
  }
});
