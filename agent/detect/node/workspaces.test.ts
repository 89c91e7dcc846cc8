import { strict as assert } from 'node:assert';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openRepository, ReadingBudget } from '../repository.ts';
import { workspaceAbove, workspaceOf } from './workspaces.ts';
import { readPackageJson } from './package-json.ts';
import { RepositoryFolder } from '../test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

const json = (value: unknown): string => JSON.stringify(value);
const manifest = (name: string, more: object = {}): string => json({ name, ...more });
const server = { scripts: { start: 'node a.js' } };

async function members(files: Record<string, string>): Promise<readonly string[] | undefined> {
  folder.replaceFiles(files);
  const view = openRepository(folder.path);
  return (await workspaceOf(view, await readPackageJson(view)))?.members;
}

describe('members of a workspace', () => {
  const packages = {
    'apps/web/package.json': manifest('web'),
    'apps/api/package.json': manifest('api'),
    'apps/notes.txt': '',
    'apps/empty/readme.md': '',
    'tools/deep/cli/package.json': manifest('cli'),
    'tools/node_modules/x/package.json': manifest('x'),
  };
  const CASES: readonly [string, Record<string, string>, readonly string[]][] = [
    ['a list', { 'package.json': json({ workspaces: ['apps/*'] }) }, ['apps/api', 'apps/web']],
    ["yarn's object", { 'package.json': json({ workspaces: { packages: ['./apps/web/'] } }) }, ['apps/web']],
    [
      'every level, without node_modules',
      { 'package.json': json({ workspaces: ['apps/*', 'tools/**'] }) },
      ['apps/api', 'apps/web', 'tools/deep/cli'],
    ],
    ['exclusions', { 'package.json': json({ workspaces: ['apps/*', '!apps/api'] }) }, ['apps/web']],
    [
      'pnpm-workspace.yaml, which wins',
      {
        'package.json': json({ workspaces: ['tools/**'] }),
        'pnpm-workspace.yaml': '# ours\npackages:\n  # all\n  - \'apps/*\' # here\n  - "!apps/api"\ncatalog:\n  x: 1\n',
      },
      ['apps/web'],
    ],
    [
      'pnpm-workspace.yaml in one line',
      { 'package.json': '{}', 'pnpm-workspace.yaml': 'packages: ["apps/web"]\n' },
      ['apps/web'],
    ],
  ];
  for (const [name, files, expected] of CASES) {
    test(`are found by ${name}`, async () => assert.deepEqual(await members({ ...packages, ...files }), expected));
  }

  test('are not read from a pnpm-workspace.yaml with settings only', async () => {
    assert.equal(
      await members({ 'package.json': '{}', 'pnpm-workspace.yaml': 'onlyBuiltDependencies:\n  - x\n' }),
      undefined,
    );
  });

  test('are not matched by patterns that are strange or lead out of the repository', async () => {
    const workspaces = ['../*', '/etc', '{apps,x}/*', 'a b', '(a+)+$', '', '.'];
    assert.deepEqual(await members({ ...packages, 'package.json': json({ workspaces }) }), []);
  });

  test('are found in finite time even if links lead back into the workspace', async () => {
    folder.replaceFiles({ ...packages, 'package.json': json({ workspaces: ['**'] }) });
    await symlink('..', join(folder.path, 'apps', 'circle'));
    const view = openRepository(folder.path);
    const found = await workspaceOf(view, await readPackageJson(view));
    assert.deepEqual(found?.members, ['apps/api', 'apps/web', 'tools/deep/cli']);
  });

  test('are searched among a limited number of folders', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => [`apps/a${index}/package.json`, '{}']);
    folder.replaceFiles({ 'package.json': json({ workspaces: ['apps/*'] }), ...Object.fromEntries(many) });
    const budget = new ReadingBudget();
    const view = openRepository(folder.path, budget);
    const found = await workspaceOf(view, await readPackageJson(view));
    assert.equal(found?.members.length, 200);
    assert.ok(budget.looks < 2500, `${budget.looks} looks`);
  });

  test('lead to the workspace above them, but a folder that is no member does not', async () => {
    folder.replaceFiles({ ...packages, 'package.json': json({ workspaces: ['apps/*'] }) });
    const view = openRepository(folder.path);
    assert.equal(await workspaceAbove(view, 'apps/web'), '.');
    assert.equal(await workspaceAbove(view, 'tools/deep/cli'), null);
  });
});

describe('the app of a workspace', () => {
  const root = { 'package.json': json({ workspaces: ['apps/*'] }), 'package-lock.json': '{}' };
  const web = { 'apps/web/package.json': manifest('@shop/web', { dependencies: { next: '15' } }) };
  const api = { 'apps/api/package.json': manifest('api', { ...server, dependencies: { express: '5' } }) };
  const library = {
    'apps/lib/package.json': manifest('lib', { main: 'index.js', devDependencies: { vite: '6' } }),
    'apps/lib/index.js': '',
  };

  test('is the only member that starts or has pages, and libraries do not count', async () => {
    const plan = await folder.plan({ ...root, ...web, ...library });
    assert.equal(plan.framework, 'Next.js');
    assert.deepEqual(
      plan.evidence.find(({ subject }) => subject === 'app'),
      { subject: 'app', value: 'apps/web', from: 'workspace of the repository' },
    );
    assert.match(plan.dockerfile.text, /^WORKDIR \/app\/apps\/web$/m);
  });

  test('must be chosen if there are several, and the error says what each is', async () => {
    await assert.rejects(folder.plan({ ...root, ...web, ...api }), {
      code: 'ORK_APP_AMBIGUOUS',
      message: /apps\/api \(Express\), apps\/web \(Next\.js\)/,
    });
  });

  test('is set by the root directory, and built where the lockfile is', async () => {
    const plan = await folder.plan({ ...root, ...web, ...api }, { rootDirectory: 'apps/api' });
    assert.deepEqual([plan.framework, plan.rootDirectory], ['Express', '.']);
    assert.match(
      plan.dockerfile.text,
      /^COPY package\.json package-lock\.json \.\/\nCOPY apps\/api\/package\.json apps\/api\/$/m,
    );
    assert.match(plan.dockerfile.text, /^WORKDIR \/app\/apps\/api$/m);
  });

  test('is set by orkestr.json at the root, too', async () => {
    const files = { ...root, ...web, ...api, 'orkestr.json': json({ rootDirectory: 'apps/web' }) };
    assert.equal((await folder.plan(files)).framework, 'Next.js');
  });

  test('is not the root if that only has tools shared by all members', async () => {
    const manifest = json({
      workspaces: ['apps/*'],
      devDependencies: { vite: '6' },
      scripts: { start: 'turbo start' },
    });
    const plan = await folder.plan({ ...root, ...web, 'package.json': manifest });
    assert.equal(plan.framework, 'Next.js');
  });

  test('is reported as missing with the number of members, and with how to name a project of Nx', async () => {
    const { 'package.json': manifest } = root;
    await assert.rejects(folder.plan({ 'package.json': manifest, ...library }), {
      code: 'ORK_NOTHING_DETECTED',
      message: /no app among the 1 members of its workspace/,
    });
    const nx = { 'package.json': '{"devDependencies":{"nx":"20"}}', 'nx.json': '{}', 'apps/web/project.json': '{}' };
    await assert.rejects(folder.plan(nx), { code: 'ORK_NOTHING_DETECTED', message: /project of Nx.*orkestr\.json/ });
  });

  test('is the root itself if that starts', async () => {
    const plan = await folder.plan({ ...root, ...web, 'package.json': json({ workspaces: ['apps/*'], ...server }) });
    assert.equal(plan.startCommand, 'node a.js');
    assert.doesNotMatch(plan.dockerfile.text, /^WORKDIR \/app\/apps/m);
  });

  test('is planned with a warning beside a broken manifest, which is an error only if it is chosen', async () => {
    const files = { ...root, ...web, 'apps/broken/package.json': '{' };
    assert.match((await folder.plan(files)).warnings.join(), /apps\/broken\/package\.json cannot be read/);
    await assert.rejects(folder.plan(files, { rootDirectory: 'apps/broken' }), { code: 'ORK_MANIFEST_INVALID' });
  });
});
