/** What a hostile repository can cause: only a plan, or an error with a code, after a bounded amount of reading. */
import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { OrkestrError } from '../../protocol/errors.ts';
import { BuildPlan } from '../../protocol/steps.ts';
import { MAX_BYTES, MAX_ENTRIES, MAX_FILE_BYTES, MAX_LOOKS, ReadingBudget } from './repository.ts';
import { RepositoryFolder } from './test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];

const NAMES = [
  'package.json',
  'pyproject.toml',
  'requirements.txt',
  'Procfile',
  'go.mod',
  'main.go',
  'app.py',
  'manage.py',
  'Dockerfile',
  'index.html',
  'yarn.lock',
  'pnpm-lock.yaml',
  'pnpm-workspace.yaml',
  'vite.config.js',
  'angular.json',
  'apps/web/package.json',
  'orkestr.json',
  'compose.yaml',
  'config/database.yml',
  'prisma/schema.prisma',
  'manage.py',
  'fly.toml',
  'app.json',
  'Cargo.toml',
  'Cargo.lock',
  'src/main.rs',
  'rust-toolchain.toml',
  'Gemfile',
  'config.ru',
  'app.rb',
  'composer.json',
  'index.php',
  'pom.xml',
  'build.gradle',
  'Shop.csproj',
  'global.json',
  'mix.exs',
  'deno.jsonc',
  'main.ts',
  'Pipfile',
  'Pipfile.lock',
  'uv.lock',
  '.nvmrc',
  '.tool-versions',
  '.python-version',
  'runtime.txt',
];

const file = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.json(),
  fc.constantFrom(
    'module x\n',
    'package main',
    'FROM a\nEXPOSE 99999 0 -1',
    'web: $(rm -rf /)\n',
    'flask\ngunicorn',
    '{"main":"../../x","scripts":{"start":"a\\nUSER root"}}',
    '{"scripts":{"__proto__":"x","start":"node x"},"dependencies":{"vite":"1"}}',
    '{"workspaces":["**","../**"],"packageManager":"bun@1.0.0"}',
    '{"__proto__":{"detector":"node"},"port":1}',
    'app = Flask(',
    "gem 'rails'\ngem 'pg'\nruby '3'",
    '[package]\nname = "x"\n[[bin]]\nname = "y"\n[workspace]\nmembers = ["*", "../x"]\n',
    'services:\n  a:\n',
    '<Project Sdk="Microsoft.NET.Sdk.Web"><TargetFramework>net9.0',
    'def project, do: [app: :x]',
    '{"tasks":{"start":"x"}} // end',
  ),
);

describe('arbitrary content of a repository', () => {
  const CODES = /^ORK_(?:NOTHING_DETECTED|MANIFEST_INVALID|COMPOSE_FILE|APP_AMBIGUOUS|ROOT_MISSING)$/;

  test('leads to a valid plan or to an error with a code', async () => {
    const repository = fc.dictionary(fc.constantFrom(...NAMES), file, { maxKeys: 8 });
    await fc.assert(
      fc.asyncProperty(repository, async (files) => {
        try {
          BuildPlan.parse(await folder.plan(files));
        } catch (error) {
          assert.ok(error instanceof OrkestrError, String(error instanceof Error ? error.stack : error));
          assert.match(error.code, CODES);
        }
      }),
      { numRuns: 200 },
    );
  });

  /** Each puts a text into one place of an otherwise valid app. */
  const PLACES: Readonly<Record<string, (text: string) => Files>> = {
    'a start script': (text) => node({ scripts: { start: text } }),
    main: (text) => node({ main: text, scripts: {} }),
    packageManager: (text) => node({ packageManager: `pnpm@1.0.0${text}` }),
    'engines.node': (text) => node({ engines: { node: `18${text}` } }),
    '.nvmrc': (text) => ({ ...node({}), '.nvmrc': `v18${text}` }),
    Procfile: (text) => ({ ...node({}), Procfile: `web: ${text}` }),
    'the name of a member': (text) => ({
      'package.json': '{"workspaces":["apps/*"]}',
      'turbo.json': '{}',
      'apps/web/package.json': JSON.stringify({ name: text, scripts: { build: 'x', start: 'node a.js' } }),
    }),
    'startCommand of orkestr.json': (text) => ({ ...node({}), 'orkestr.json': JSON.stringify({ startCommand: text }) }),
    'buildCommand of orkestr.json': (text) => ({ ...node({}), 'orkestr.json': JSON.stringify({ buildCommand: text }) }),
    'runtimeVersion of orkestr.json': (text) => ({
      ...node({}),
      'orkestr.json': JSON.stringify({ runtimeVersion: `18${text}` }),
    }),
    'a Python requirement': (text) => ({
      'pyproject.toml': `[project]\nname = "x"\ndependencies = [${JSON.stringify(`flask${text}`)}]\n`,
      'app.py': 'app = Flask()',
    }),
    '.python-version': (text) => ({ 'app.py': '', '.python-version': `3.12${text}` }),
    'a main package': (text) => ({
      'go.mod': 'module x\n',
      [`cmd/${text.replaceAll(/[/\0]/g, '-')}/main.go`]: 'package main',
    }),
    'go.mod': (text) => ({ 'go.mod': `module x\ngo 1.22${text}\n`, 'main.go': 'package main' }),
    'a Cargo package': (text) => ({
      'Cargo.toml': `[package]\nname = ${JSON.stringify(`x${text}`)}\n`,
      'src/main.rs': '',
    }),
    'a Gemfile': (text) => ({ Gemfile: `gem 'pg${text}'\nruby '3.2${text}'\n`, 'config.ru': '' }),
    'composer.json': (text) => ({
      'composer.json': JSON.stringify({ require: { php: `8.3${text}` } }),
      'index.php': '',
    }),
    'pom.xml': (text) => ({ 'pom.xml': `<java.version>21${text}</java.version>` }),
    'an assembly': (text) => ({
      'A.csproj': `<Project Sdk="Microsoft.NET.Sdk.Web"><AssemblyName>x${text}</AssemblyName><TargetFramework>net8.0${text}<`,
    }),
    'mix.exs': (text) => ({ 'mix.exs': `app: :x${text}, elixir: "~> 1.15${text}" {:phoenix, "1"}` }),
    'deno.json': (text) => ({ 'deno.json': JSON.stringify({ tasks: { start: text } }), '.dvmrc': `2.1${text}` }),
    'a Vite folder': (text) => ({
      'package.json': '{"devDependencies":{"vite":"6"}}',
      'vite.config.js': `export default { build: { outDir: '${text}' } }`,
    }),
  };
  const node = (manifest: object): Files => ({
    'package.json': JSON.stringify({ scripts: { start: 'node server.js' }, dependencies: { koa: '1' }, ...manifest }),
    'server.js': '',
  });

  const INSTRUCTION = /^(?:FROM|WORKDIR|ENV|COPY|RUN|USER|STOPSIGNAL|ENTRYPOINT|CMD|#)(?: |$)|^$/;
  const part = fc.constantFrom(
    '\n',
    '\r',
    '\\',
    '"',
    "'",
    ' ',
    '&&',
    '`',
    '$(',
    '#',
    '\nUSER root\n',
    '/../',
    '*',
    'x',
  );
  const evil = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));

  for (const [place, files] of Object.entries(PLACES)) {
    test(`cannot inject an instruction or an image into a generated Dockerfile through ${place}`, async () => {
      await fc.assert(
        fc.asyncProperty(evil, async (text) => {
          const plan = await folder.plan(files(text)).catch((error: unknown) => {
            assert.ok(error instanceof OrkestrError, String(error));
            return null;
          });
          if (plan === null) return;
          const lines = plan.dockerfile.text.split(/[\n\r]/);
          assert.deepEqual(
            lines.filter((line) => !INSTRUCTION.test(line)),
            [],
          );
          assert.deepEqual(
            lines.filter((line) => line.startsWith('USER ')),
            ['USER 10001:10001'],
          );
          for (const line of lines.filter((line) => line.startsWith('FROM '))) {
            assert.match(line, /^FROM [a-z-]+:[a-z0-9.-]+(?: AS [a-z]+)?$|^FROM deno(?: AS build)?$/);
          }
        }),
        { numRuns: 25 },
      );
    });
  }
});

describe('the limits of an analysis', () => {
  const looksAt = async (files: Files): Promise<ReadingBudget> => {
    const budget = new ReadingBudget();
    await folder
      .plan(files, { budget })
      .catch((error: unknown) => assert.ok(error instanceof OrkestrError, String(error)));
    return budget;
  };
  const app = { 'package.json': '{"scripts":{"start":"node a.js"}}' };

  test('five thousand more files cause not a single additional read', async () => {
    const crowd = (each: number): Files =>
      Object.fromEntries(Array.from({ length: 50 * each }, (_, index) => [`src/d${index % 50}/f${index}`, '']));
    const few = await looksAt({ ...app, ...crowd(1) });
    const many = await looksAt({ ...app, ...crowd(100) });
    assert.deepEqual([many.looks, many.bytes], [few.looks, few.bytes]);
    assert.ok(few.looks < 400, `${few.looks} looks`);
  });

  test('a folder with too many entries is cut, and the plan says so', async () => {
    const crowd = Object.fromEntries(Array.from({ length: MAX_ENTRIES + 10 }, (_, index) => [`f${index}.txt`, '']));
    const plan = await folder.plan({ ...crowd, 'A.csproj': '<Project Sdk="Microsoft.NET.Sdk.Web">' }).catch(() => null);
    const other = await folder.plan({ ...crowd, 'index.html': '' });
    assert.match([...(plan?.warnings ?? []), ...other.warnings].join(), /only 2000 entries of the root directory/);
  });

  test('an exhausted budget of looks or bytes has an error code of its own', () => {
    const budget = new ReadingBudget();
    budget.looks = MAX_LOOKS;
    assert.throws(() => budget.look(), { code: 'ORK_REPO_TOO_LARGE' });
    budget.bytes = MAX_BYTES;
    assert.throws(() => budget.read(1), { code: 'ORK_REPO_TOO_LARGE' });
  });

  /** Texts that cause catastrophic backtracking in careless expressions; each test would hang. */
  const LARGE = MAX_FILE_BYTES - 1000;
  const HARD: Readonly<Record<string, Files>> = {
    'a Procfile of blanks': { ...app, Procfile: `web: a${' '.repeat(LARGE)}b` },
    'requirements of empty lines': { 'requirements.txt': '\n'.repeat(LARGE), 'app.py': '' },
    'a Gemfile of empty lines': { Gemfile: '\n'.repeat(LARGE), 'config.ru': '' },
    'a Gemfile of blanks': { Gemfile: `gem${' '.repeat(LARGE)}`, 'config.ru': '' },
    'a pnpm workspace of blanks': { ...app, 'pnpm-workspace.yaml': `packages:\n${' \n'.repeat(LARGE / 2)}x` },
    'a compose file of blanks': { 'compose.yaml': `services:\n${' \n'.repeat(LARGE / 2)}x` },
    'comments that never end': { 'deno.jsonc': '/*'.repeat(LARGE / 2) },
    'commas without an end': { 'deno.jsonc': `{${', '.repeat(LARGE / 2)}` },
    'brackets in JSON': { 'package.json': '['.repeat(LARGE) },
    'brackets in TOML': { 'pyproject.toml': `a = ${'['.repeat(LARGE / 8)}` },
    'fields of a hundred levels': { 'orkestr.json': `${'{"a":'.repeat(LARGE / 6)}1${'}'.repeat(LARGE / 6)}` },
    'a script of many ports': {
      'package.json': JSON.stringify({ scripts: { start: 'serve -p '.repeat(LARGE / 10) } }),
    },
    'globs of stars': {
      'package.json': JSON.stringify({
        workspaces: ['a*a*a*a*a*a*b', '**/**/**/**/**/**/**/**', '**'.repeat(100_000)],
      }),
      [`${'a'.repeat(200)}/${'a'.repeat(200)}/${'a'.repeat(200)}/package.json`]: '{}',
    },
    'a deep root directory below globs of stars': {
      'package.json': JSON.stringify({ workspaces: ['**/a/**/a/**/a/**/b'] }),
      [`${'a/'.repeat(100)}package.json`]: '{}',
      'orkestr.json': JSON.stringify({ rootDirectory: 'a/'.repeat(100).slice(0, -1) }),
    },
    'a Vite configuration of one key': {
      'package.json': '{"devDependencies":{"vite":"6"}}',
      'vite.config.js': `outDir: '${'a'.repeat(LARGE - 100)}`,
    },
    'a mix.exs of blanks': { 'mix.exs': `app:${' '.repeat(LARGE)}` },
    'a project file of blanks': { 'A.csproj': `<TargetFramework>${' '.repeat(LARGE)}`, 'global.json': '{}' },
    'a build.gradle of blanks': { 'build.gradle': `sourceCompatibility${' '.repeat(LARGE)}` },
    'a Dockerfile of one line': { Dockerfile: `FROM ${'--a '.repeat(LARGE / 4)}` },
    'a module of one name': { 'go.mod': `module ${'a'.repeat(LARGE)} b`, 'main.go': 'package main' },
    'a go.work of open brackets': { 'go.work': 'use (\n'.repeat(LARGE / 6) },
    'a go.work of one name': {
      'go.work': `use ${'a'.repeat(LARGE)}!`,
      'go.mod': 'module a',
      'main.go': 'package main',
    },
    'a go.work of blanks': { 'go.work': `use (\n${' '.repeat(LARGE)}` },
    'a string in JSON that never ends': { 'deno.json': `"${'\\"'.repeat(LARGE / 2)}` },
    'comments in a configuration that never end': {
      'package.json': '{"devDependencies":{"vite":"6"}}',
      'vite.config.js': ' /*'.repeat(LARGE / 3),
    },
    'a pyproject.toml of open braces': {
      'pyproject.toml': `[project]\nname = "x"\ndependencies = ["flask"]\n#${'{'.repeat(LARGE)}`,
      'app.py': '',
    },
    'requirements of open braces': { 'requirements.txt': `flask\n#${'{'.repeat(LARGE)}`, 'app.py': '' },
    'a package of one long name': {
      'package.json': JSON.stringify({ name: `${'a'.repeat(LARGE)}!`, dependencies: { '@angular/core': '18' } }),
      'angular.json': '{}',
    },
    'engines.pnpm of one long version': {
      'package.json': JSON.stringify({ engines: { pnpm: '1'.repeat(LARGE) }, scripts: { start: 'node a.js' } }),
      'pnpm-lock.yaml': "lockfileVersion: '9.0'\n",
    },
    'a compose file of merges': { 'compose.yaml': `services:\n  a: &a\n    <<: [${'*a, '.repeat(LARGE / 4 - 10)}]\n` },
    'a compose file of one key': { 'compose.yaml': `services:\n${' '.repeat(LARGE / 2)}${'a '.repeat(LARGE / 5)}` },
    'a database.yml of blanks': {
      Gemfile: 'gem "sqlite3"',
      'config.ru': '',
      'config/database.yml': `production:${' '.repeat(LARGE)}x`,
    },
    'settings of one long line': {
      'manage.py': '"DJANGO_SETTINGS_MODULE", "a.b"',
      'requirements.txt': 'django',
      'a/b.py': `DATABASES = {${`'ENGINE': "`.repeat(LARGE / 12)}`,
    },
    'settings of one long branch': {
      'manage.py': '"DJANGO_SETTINGS_MODULE", "a.b"',
      'requirements.txt': 'django',
      'a/b.py': `DATABASES = {}\nif x:\n${`  if DEBUG:\n    a = ("sqlite:///a")\n`.repeat(LARGE / 40)}`,
    },
    'files of other platforms of blanks': {
      ...app,
      'fly.toml': '\n'.repeat(LARGE),
      'render.yaml': `${' '.repeat(LARGE)}x`,
      'app.json': `"env"${' '.repeat(LARGE)}`,
      'config/deploy.yml': 'service:\n'.repeat(LARGE / 9),
    },
    'an app of one name': { 'requirements.txt': 'flask', 'app.py': 'a'.repeat(LARGE) },
  };
  for (const [name, files] of Object.entries(HARD)) {
    test(`the analysis of ${name} ends in time`, { timeout: 60_000 }, async () => void (await looksAt(files)));
  }
});
