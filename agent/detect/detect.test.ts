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

  const workers =
    'web: node a.js\nrelease: node migrate.js\nsend_mail: node mail.js --to "all"\nclock: node clock.js\nnothing:\n';
  const withWorkers = { 'package.json': json({ scripts: { start: 'node a.js' } }), Procfile: workers };
  const notRun = (warnings: readonly string[]): string[] => warnings.filter((one) => one.includes('not run:'));

  test('with more processes than web causes a warning that names them, and how one is started', async () => {
    const said =
      'orkestr runs one process per environment, so these lines of the Procfile are not run: send_mail, clock. ' +
      `Create an environment for each: orkestr environment create send-mail --worker --start 'node mail.js --to "all"'`;
    assert.deepEqual(notRun((await plan(withWorkers)).warnings), [said]);
    const own = { ...withWorkers, Dockerfile: 'FROM node:24\n' };
    assert.deepEqual(notRun((await plan(own)).warnings), [said], 'A Dockerfile starts none of them either.');
  });

  test('causes no such warning in an environment that is meant for one of its lines', async () => {
    const { warnings, startCommand } = await plan(withWorkers, { startCommand: 'node clock.js' });
    assert.equal(startCommand, 'node clock.js');
    assert.deepEqual(notRun(warnings), []);
  });

  test('with very many processes causes a warning that stays short', async () => {
    const many = Array.from({ length: 1000 }, (_, index) => `w${index}: node ${'x'.repeat(300)}\n`).join('');
    const [warning = ''] = notRun((await plan({ ...withWorkers, Procfile: many })).warnings);
    assert.match(warning, /: w0, w1, .*, w9 and 990 more\. .* create w0 --worker --start COMMAND$/);
  });

  test('with a worker alone is enough where the environment names the start command', async () => {
    const bot = { 'requirements.txt': 'discord.py', 'bot.py': 'run()', Procfile: 'worker: python bot.py\n' };
    const made = await plan(bot, { startCommand: 'python bot.py' });
    assert.deepEqual([made.detector, made.startCommand, made.warnings], ['python', 'python bot.py', []]);
    const ruby = {
      Gemfile: "gem 'sidekiq'\n",
      'Gemfile.lock': '',
      'work.rb': '',
      Procfile: 'worker: sidekiq -r ./work.rb\n',
    };
    assert.equal((await plan(ruby, { startCommand: 'sidekiq -r ./work.rb' })).detector, 'ruby');
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
