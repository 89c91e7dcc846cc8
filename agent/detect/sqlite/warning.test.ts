import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import { MAX_ENTRIES } from '../repository.ts';
import { RepositoryFolder } from '../test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const json = (value: unknown): string => JSON.stringify(value, null, 1);
const OWN: Files = { Dockerfile: 'FROM a:1\n' };
const SAYS = ': if production uses it, each deployment begins without the data';

/** The place that the only warning about a database in a file names; null without such a warning. */
async function placeOf(files: Files, variables = {}): Promise<string | null> {
  const { warnings } = await folder.plan(files, { variables });
  const found = warnings.filter((one) => one.includes(SAYS));
  assert.ok(found.length < 2, found.join('\n'));
  return found[0]?.slice(0, found[0].indexOf(SAYS)) ?? null;
}

const RAILS_8 = `default: &default
  adapter: sqlite3
  timeout: 5000
development:
  <<: *default
production:
  primary:
    <<: *default
    database: storage/production.sqlite3
  cache:
    <<: *default
`;
const GEMS = 'source "https://rubygems.org"\ngem "rails", "~> 8.0"\ngem "sqlite3", ">= 2.1"\n';
const rails = (config: string, gemfile = GEMS): Files => ({ ...OWN, Gemfile: gemfile, 'config/database.yml': config });

describe('Rails', () => {
  test('with SQLite in production is named with the line of the adapter, also without a Dockerfile', async () => {
    const said = 'config/database.yml line 2 names SQLite for production';
    assert.equal(await placeOf(rails(RAILS_8)), said);
    const generated = { Gemfile: GEMS, 'config/application.rb': '', 'config.ru': '', 'config/database.yml': RAILS_8 };
    assert.equal(await placeOf(generated), said);
    const plain = 'production:\n  adapter: <%= ENV.fetch("ADAPTER", "sqlite3") %>\n  database: x # here\n';
    assert.equal(await placeOf(rails(plain)), 'config/database.yml line 2 names SQLite for production');
  });

  test('with another database, or with a URL, in production causes no warning', async () => {
    const base = 'default: &default\n  adapter: sqlite3\ndevelopment:\n  <<: *default\nproduction:\n  <<: *default\n';
    assert.equal(await placeOf(rails(`${base}  adapter: postgresql\n`)), null);
    assert.equal(await placeOf(rails(`${base}  url: <%= ENV["DATABASE_URL"] %>\n`)), null);
    const cache = 'production:\n  primary:\n    adapter: postgresql\n  cache:\n    adapter: sqlite3\n';
    assert.equal(await placeOf(rails(cache)), null);
    assert.equal(await placeOf(rails('test:\n  adapter: sqlite3\nproduction:\n  pool: 5\n')), null);
  });

  test('with the gem for development and tests only causes no warning', async () => {
    for (const gems of [
      'group :development, :test do\n  gem "debug"\n  gem "sqlite3"\nend\ngem "pg"\n',
      'group :development do\n  platforms :mri do\n    gem "sqlite3"\n  end\nend\n',
      'gem "sqlite3", group: :test, require: false\n',
      'gem "sqlite3", :groups => [:development, :test]\n',
      'gem "sqlite3", groups: %i[development test]\n',
      'group :extra, optional: true do\n  gem "sqlite3"\nend\n',
      '# gem "sqlite3"\n',
    ])
      assert.equal(await placeOf(rails(RAILS_8, gems)), null, gems);
    const after =
      'group :test do\n  gem "a"\nend\nif true\n  gem "b"\nend\ngem "sqlite3", group: [:production, :test]\n';
    assert.notEqual(await placeOf(rails(RAILS_8, after)), null);
  });

  test('is not needed: without a database.yml, the gem itself is named', async () => {
    const gemfile = 'gem "sinatra"\ngem("sqlite3")\n';
    assert.equal(await placeOf({ ...OWN, Gemfile: gemfile }), 'Gemfile line 2 lists sqlite3');
    assert.equal(await placeOf({ ...OWN, Gemfile: `${gemfile}gem "pg"\n` }), null);
  });
});

const DATABASES = "DATABASES = {\n    'default': {\n        'ENGINE': 'django.db.backends.sqlite3',\n    }\n}\n";
const MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n';
const django = (settings: string, more: Files = {}): Files => ({
  ...OWN,
  'manage.py': MANAGE,
  'shop/settings.py': settings,
  ...more,
});

describe('Django', () => {
  test('with SQLite in the settings that serve it is named with the line of the engine', async () => {
    assert.equal(await placeOf(django(`DEBUG = False\n${DATABASES}`)), 'shop/settings.py line 4 names SQLite');
    for (const line of [
      'DATABASES = {"default": env.db("DATABASE_URL", default="sqlite:///db.sqlite3")}',
      'DATABASES["default"] = dj_database_url.config(default=f"x", other="sqlite:///x")',
      "DATABASES = {'default': {'ENGINE': os.getenv('ENGINE', 'django.contrib.gis.db.backends.spatialite')}}",
    ])
      assert.equal(await placeOf(django(`${line}\n`)), 'shop/settings.py line 1 names SQLite', line);
    const below = {
      ...OWN,
      'requirements.txt': 'django',
      'site/manage.py': MANAGE,
      'site/shop/settings.py': DATABASES,
    };
    assert.equal(await placeOf(below), 'site/shop/settings.py line 3 names SQLite');
  });

  test('with SQLite for development or tests only causes no warning', async () => {
    const inside = DATABASES.replaceAll(/^/gm, '    ');
    const server = "    DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql'}}\n";
    for (const settings of [
      `if DEBUG:\n${inside}\nelse:\n${server}`,
      `if not DEBUG:\n${server}\nelse:\n${inside}\n`,
      `if os.environ.get("ENV") == "production":\n${server}elif x:\n${server}else:\n${inside}\n`,
      `${server.trim()}\nif "test" in sys.argv:\n${inside}\n`,
      `# ${DATABASES.replaceAll('\n', '\n# ')}\n${server.trim()}\n`,
      "DATABASES = {'default': dj_database_url.config()}\n",
      "DATABASES = {'default': dj_database_url.config(default='sqlite:///:memory:')}\n",
    ])
      assert.equal(await placeOf(django(settings)), null, settings);
    for (const settings of [
      `if os.getenv("DB_HOST"):\n${server}else:\n${inside}\n`,
      `if not DEBUG:\n${inside}\n`,
      `if ENV == "production":\n${inside}\n`,
    ])
      assert.notEqual(await placeOf(django(settings)), null, settings);
  });

  test('with settings for production that set another database causes no warning', async () => {
    const more = {
      'shop/wsgi.py': 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.production")\n',
      'shop/settings/base.py': DATABASES,
    };
    const server = "from .base import *\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql'}}\n";
    assert.equal(await placeOf(django('', { ...more, 'shop/settings/production.py': server })), null);
    const option = 'from .base import *\nDATABASES["default"]["CONN_MAX_AGE"] = 600\n';
    const same = await placeOf(django('', { ...more, 'shop/settings/production.py': option }));
    assert.equal(same, 'shop/settings/base.py line 3 names SQLite');
  });
});

const node = (dependencies: object, more: object = {}, files: Files = {}): Files => ({
  ...OWN,
  'package.json': json({ scripts: { start: 'node a.js' }, dependencies, ...more }),
  ...files,
});

describe('Node.js', () => {
  test('with a library for SQLite among its dependencies is named with its line', async () => {
    const place = await placeOf(node({ express: '5', 'better-sqlite3': '12' }));
    assert.equal(place, 'package.json line 7 lists better-sqlite3');
    assert.equal(await placeOf(node({ sqlite3: '5' })), 'package.json line 6 lists sqlite3');
    const { Dockerfile: _, ...generated } = node({ 'better-sqlite3': '12' }, {}, { 'a.js': '' });
    assert.equal(await placeOf(generated), 'package.json line 6 lists better-sqlite3');
  });

  test('with the library for development, or beside the client of a server, causes no warning', async () => {
    assert.equal(await placeOf(node({}, { devDependencies: { 'better-sqlite3': '12' } })), null);
    assert.equal(await placeOf(node({ 'better-sqlite3': '12', pg: '8' })), null);
    assert.equal(await placeOf(node({ 'better-sqlite3': '12', '@nuxt/content': '3' })), null);
  });

  test('that imports the built-in SQLite is named with file and line, unless only tests do so', async () => {
    const code = "// node:sqlite\nimport { DatabaseSync } from 'node:sqlite';\n";
    assert.equal(await placeOf(node({}, {}, { 'src/db/open.ts': code })), 'src/db/open.ts line 2 imports SQLite');
    assert.equal(await placeOf(node({}, {}, { 'src/open.test.ts': code, 'test/a.js': code, 'a.d.ts': code })), null);
    assert.equal(await placeOf(node({}, {}, { 'a.js': `${code}new DatabaseSync(':memory:');\n` })), null);
  });

  test('that serves a build as files causes no warning', async () => {
    const astro = {
      'package.json': json({ scripts: { build: 'astro build' }, dependencies: { astro: '5', sqlite3: '5' } }),
    };
    assert.equal(await placeOf(astro), null);
    assert.equal(
      await placeOf(node({ sqlite3: '5' }, {}, { Dockerfile: 'FROM node AS b\nFROM nginx:alpine\n' })),
      null,
    );
  });

  test('as the only app of a workspace is looked at in its own folder', async () => {
    const { Dockerfile: _, ...root } = node({}, { workspaces: ['apps/*'], scripts: {} });
    const member = {
      'apps/web/package.json': json({ scripts: { start: 'node a.js' }, dependencies: { sqlite3: '5' } }),
    };
    assert.equal(await placeOf({ ...root, ...member, 'apps/web/a.js': '' }), 'package.json line 6 lists sqlite3');
  });

  test('with a large folder that only this search looks into gets no warning about the folder', async () => {
    const crowd = Object.fromEntries(Array.from({ length: MAX_ENTRIES + 1 }, (_, at) => [`src/a/b/${at}.txt`, '']));
    const { warnings } = await folder.plan({ ...node({}), ...crowd });
    assert.doesNotMatch(warnings.join('\n'), /looked at only/);
  });

  test('with a manifest that cannot be read keeps its plan', async () => {
    const { detector } = await folder.plan({ ...OWN, 'package.json': '{', 'composer.json': '[', 'go.mod': '\0' });
    assert.equal(detector, 'dockerfile');
  });
});

describe('Prisma', () => {
  const schema = 'generator client {\n  provider = "prisma-client-js"\n}\ndatasource db {\n  provider = "sqlite"\n}\n';

  test('with the provider sqlite is named with its line', async () => {
    for (const path of ['prisma/schema.prisma', 'prisma/schema/base.prisma'])
      assert.equal(await placeOf({ ...OWN, [path]: schema }), `${path} line 5 names SQLite`);
  });

  test('with another provider, or an adapter for a server, causes no warning', async () => {
    const other = schema.replace('"sqlite"', '"postgresql" // or "sqlite"');
    assert.equal(await placeOf({ ...OWN, 'prisma/schema.prisma': other }), null);
    const remote = node({ '@prisma/adapter-libsql': '6' }, {}, { 'prisma/schema.prisma': schema });
    assert.equal(await placeOf(remote), null);
  });
});

describe('Laravel and Symfony', () => {
  const laravel = (files: Files): Files => ({
    ...OWN,
    'composer.json': json({ require: { 'laravel/framework': '^12' } }),
    ...files,
  });
  const config = "<?php return [\n    'default' => env('DB_CONNECTION', 'sqlite'),\n];\n";

  test('are named with the example or the default of the configuration', async () => {
    const example = { '.env.example': 'APP_KEY=\nDB_CONNECTION=sqlite\n' };
    assert.equal(await placeOf(laravel(example)), '.env.example line 2 names SQLite');
    assert.equal(await placeOf(laravel({ 'config/database.php': config })), 'config/database.php line 2 names SQLite');
    const symfony = { ...OWN, 'composer.json': json({ require: { 'symfony/framework-bundle': '7' } }) };
    const env = '# DATABASE_URL="sqlite:///a"\nDATABASE_URL="sqlite:///%kernel.project_dir%/var/data.db"\n';
    assert.equal(await placeOf({ ...symfony, '.env': env }), '.env line 2 names SQLite');
  });

  test('with a server in the example, or in a committed .env, cause no warning', async () => {
    const files = { 'config/database.php': config, '.env.example': 'DB_CONNECTION=pgsql\n' };
    assert.equal(await placeOf(laravel(files)), null);
    assert.equal(
      await placeOf(laravel({ '.env.example': 'DB_CONNECTION=sqlite\n', '.env': 'DB_CONNECTION=mysql\n' })),
      null,
    );
    assert.equal(await placeOf({ ...OWN, '.env.example': 'DB_CONNECTION=sqlite\n' }), null);
  });
});

describe('Go', () => {
  const go = (required: string, code: string, file = 'internal/db/db.go'): Files => ({
    ...OWN,
    'go.mod': `module x\n\nrequire (\n${required})\n`,
    'main.go': 'package main\n',
    [file]: code,
  });
  const CODE = 'package db\n\nimport (\n\t"database/sql"\n\t_ "github.com/mattn/go-sqlite3"\n)\n';
  const MATTN = '\tgithub.com/mattn/go-sqlite3 v1.14.22\n';

  test('with a driver of SQLite is named with the file that imports it, or with go.mod', async () => {
    assert.equal(await placeOf(go(MATTN, CODE)), 'internal/db/db.go line 5 imports SQLite');
    assert.equal(await placeOf(go('\tmodernc.org/sqlite v1.38.0\n', '')), 'go.mod line 4 requires SQLite');
  });

  test('with the driver for tests, in memory, indirect, or beside one of a server causes no warning', async () => {
    assert.equal(await placeOf(go(MATTN, CODE, 'internal/db/db_test.go')), null);
    assert.equal(await placeOf(go(MATTN, `${CODE}var db, _ = sql.Open("sqlite3", ":memory:")\n`)), null);
    assert.equal(await placeOf(go('\tmodernc.org/sqlite v1.38.0 // indirect\n', '')), null);
    assert.equal(await placeOf(go(`${MATTN}\tgithub.com/jackc/pgx/v5 v5.7.0\n`, CODE)), null);
  });
});

describe('the variables of the environment', () => {
  test('that name a database server end the warning', async () => {
    for (const variables of [
      { DATABASE_URL: 'postgres://u:p@db/x' },
      { SQLALCHEMY_URI: 'mysql+pymysql://u:p@db/x' },
      { DB_CONNECTION: 'pgsql' },
      { DB_ENGINE: 'django.db.backends.postgresql' },
      { PGHOST: 'db' },
      { MYSQL_HOST: 'db' },
    ])
      assert.equal(await placeOf(rails(RAILS_8), variables), null, json(variables));
    assert.notEqual(await placeOf(rails(RAILS_8), { DATABASE_POOL: '5', REDIS_URL: 'redis://cache' }), null);
  });

  test('that name SQLite are named themselves, without their values', async () => {
    for (const [name, value] of Object.entries({
      DATABASE_URL: 'sqlite:///app.db',
      DB_CONNECTION: 'sqlite',
      DATABASE_URI: 'sqlite+aiosqlite:///app.db',
      MY_DB_URL: 'file:./dev.db',
    }))
      assert.equal(await placeOf(OWN, { [name]: value }), `The variable ${name} names SQLite`);
    for (const variables of [{ DATABASE_URL: 'sqlite:///:memory:' }, { LOG_TARGET: 'file:///var/log/a' }])
      assert.equal(await placeOf(OWN, variables), null);
  });
});
