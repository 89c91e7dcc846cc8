import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);
const fastapi = (files: Files): Promise<BuildPlan> => plan({ 'requirements.txt': 'fastapi\nuvicorn\n', ...files });

test('an app in a folder is found, with the packages that the root lists', async () => {
  const starts: readonly (readonly [string, string])[] = [
    ['backend/server.py', 'uvicorn --host 0.0.0.0 --port $PORT backend.server:app'],
    ['backend/app/main.py', 'PYTHONPATH=backend uvicorn --host 0.0.0.0 --port $PORT app.main:app'],
    ['src/server.py', 'uvicorn --host 0.0.0.0 --port $PORT src.server:app'],
  ];
  for (const [file, start] of starts) {
    const made = await fastapi({ [file]: 'app = FastAPI()' });
    assert.deepEqual(
      [made.startCommand, made.installCommand, made.rootDirectory, made.warnings],
      [start, 'pip install -r requirements.txt', '.', []],
      file,
    );
  }
});

test('the module path of an app follows from its own imports', async () => {
  const start = async (file: string, imports: string, ...others: readonly string[]): Promise<string | undefined> => {
    const more = Object.fromEntries(others.map((path) => [path, '']));
    const made = await fastapi({ [file]: `${imports}\napp = FastAPI()`, ...more });
    return made.startCommand?.replace('uvicorn --host 0.0.0.0 --port $PORT ', '');
  };
  assert.equal(await start('src/app.py', 'from config import A', 'src/config.py'), 'PYTHONPATH=src app:app');
  assert.equal(await start('src/app.py', 'from src.config import A', 'src/config.py'), 'src.app:app');
  assert.equal(await start('src/app.py', 'from .config import A', 'src/config.py'), 'src.app:app');
  assert.equal(await start('app/main.py', 'import redis\nfrom app.a import b', 'app/redis.py'), 'app.main:app');
  const init = ['shop/__init__.py', 'shop/web/__init__.py'];
  assert.equal(await start('shop/web/app.py', 'from ..db import A', ...init), 'shop.web.app:app');
  assert.equal(await start('backend/app/main.py', 'from backend.app.db import A'), 'backend.app.main:app');
});

test('a folder that lists its own packages is an app of its own', async () => {
  const made = await fastapi({ 'backend/server.py': 'app = FastAPI()', 'backend/requirements.txt': 'fastapi\n' });
  assert.equal(made.rootDirectory, 'backend');
});

for (const [how, settings] of [
  ['the only one', {}],
  ['the root directory', { rootDirectory: 'webapp' }],
] as const) {
  test(`a folder without a package list, ${how}, runs with the packages that the root lists`, async () => {
    const files = {
      'requirements.txt': 'aiohttp\n',
      'webapp/server.py': 'from aiohttp import web',
      '.python-version': '3.12',
    };
    const made = await plan(files, settings);
    assert.deepEqual([made.rootDirectory, made.version], ['.', '3.12']);
    const [, build = '', run = ''] = made.dockerfile.text.split(/^FROM /m);
    assert.match(build, /^COPY requirements\.txt \.\/\nRUN .* pip install -r requirements\.txt$/m);
    assert.match(run, /^WORKDIR \/app\/webapp$[^]*"python","server\.py"/m);
  });
}

test('a folder with the Procfile of another language is not detected as Python', async () => {
  const files = {
    'requirements.txt': 'flask\n',
    'web/Procfile': 'web: npm start\n',
    'web/package.json': '{ "scripts": { "start": "node a.js" } }',
  };
  assert.equal((await plan(files, { rootDirectory: 'web' })).detector, 'node');
});

test('a package that the app imports and nothing installs causes a warning', async () => {
  const flask = { 'app.py': 'from flask import Flask\n' };
  const warned = /^app\.py imports flask, but orkestr installs nothing: no .* lists a package\. Write one/;
  assert.match((await plan(flask)).warnings.join(), warned);
  assert.match(
    (await plan({ ...flask, 'setup.py': '' })).warnings.join(),
    /and orkestr does not read setup\.py\. Write one/,
  );
  assert.deepEqual((await plan({ ...flask, 'setup.py': '' }, { installCommand: 'pip install .' })).warnings, []);
  assert.deepEqual((await plan({ 'app.py': 'import http.server\n' })).warnings, []);
});
