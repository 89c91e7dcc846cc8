import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const go = (folder: string): Record<string, string> => ({
  [`${folder}/go.mod`]: 'module x\n',
  [`${folder}/main.go`]: 'package main',
});

async function refusal(files: Record<string, string>): Promise<OrkestrError> {
  const error = await repository.plan(files).then(
    () => assert.fail('a plan was made'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OrkestrError, String(error));
  return error;
}

test('the only folder with an app becomes the root directory, and the plan says so', async () => {
  const plan = await repository.plan({ 'README.md': '', ...go('backend'), 'docs/intro.md': '' });
  assert.deepEqual([plan.detector, plan.rootDirectory], ['go', 'backend']);
  assert.match(plan.warnings[0] ?? '', /^orkestr uses backend as the root directory: there is no app at the root/);
});

test('a stated start command does not make an app of a list of tools at the root or beside the app', async () => {
  const stated = { startCommand: 'bin/serve' };
  const lists: readonly Record<string, string>[] = [
    { 'requirements.txt': 'pre-commit\n' },
    { Gemfile: 'gem "fastlane"\n' },
    { 'ansible/requirements.txt': 'ansible\n' },
  ];
  for (const tools of lists) {
    const plan = await repository.plan({ ...tools, ...go('backend') }, stated);
    assert.deepEqual([plan.detector, plan.rootDirectory], ['go', 'backend'], Object.keys(tools).join());
  }
});

test('with nothing else in the repository, dependencies and a stated start command suffice, as for a bot', async () => {
  const stated = { startCommand: 'bin/bot' };
  for (const [detector, files] of [
    ['python', { 'requirements.txt': 'discord.py\n' }],
    ['ruby', { Gemfile: 'gem "telegram-bot"\n' }],
  ] as const) {
    const plan = await repository.plan(files, stated);
    assert.deepEqual([plan.detector, plan.startCommand, plan.confidence], [detector, 'bin/bot', 'guess']);
    assert.equal((await refusal(files)).code, 'ORK_NOTHING_DETECTED');
  }
});

test('several folders with apps are an error that names each and says how to choose', async () => {
  const error = await refusal({ ...go('server'), 'client/package.json': '{ "scripts": { "start": "node a.js" } }' });
  assert.equal(error.code, 'ORK_NOTHING_DETECTED');
  assert.match(
    error.message,
    /below contain apps: client \(Node\.js\), server \(Go\)\. Set rootDirectory, for example "rootDirectory": "client"/,
  );
});

test('a folder that is only a guess or cannot be read is not used, and the error names it', async () => {
  assert.match((await refusal({ 'landing/index.html': '' })).message, /below contain apps: landing \(Static site\)/);
  const broken = await refusal({ 'app/package.json': '{' });
  assert.match(broken.message, /below contain apps: app\. Set rootDirectory/);
});

test('a compose file is an error even if only one folder has an app', async () => {
  const error = await refusal({ 'compose.yaml': 'services:\n  web:\n    build: web\n', ...go('web') });
  assert.equal(error.code, 'ORK_COMPOSE_FILE');
  assert.match(error.message, /below contain apps: web \(Go\)/);
});

test('a stated root directory is not replaced by a folder below it', async () => {
  repository.replaceFiles(go('apps/api'));
  await assert.rejects(repository.planAsItIs({ rootDirectory: 'apps' }), /Nothing in apps tells/);
});

test('folders of helpers like docker/ or tests/ do not count as apps', async () => {
  const { message } = await refusal({ 'docker/Dockerfile': 'FROM a:1', 'tests/app.py': '' });
  assert.doesNotMatch(message, /Folders below/);
});
