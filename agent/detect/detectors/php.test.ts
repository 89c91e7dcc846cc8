import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const plan = (require: Record<string, string>, files: Record<string, string> = {}): Promise<BuildPlan> =>
  repository.plan({ 'composer.json': JSON.stringify({ require }), 'public/index.php': '', ...files });
const installed = ({ dockerfile }: BuildPlan): string[] =>
  /^RUN docker-php-ext-install -j"\$\(nproc\)" (.*)$/m.exec(dockerfile.text)?.[1]?.split(' ') ?? [];

test('an extension that composer.json requires is installed with the packages to compile it', async () => {
  const made = await plan({ 'ext-gd': '*', 'ext-intl': '*', 'ext-json': '*', 'ext-zlib': '*' });
  assert.deepEqual(installed(made), ['gd', 'intl']);
  const run = made.dockerfile.text.split(/^FROM php/m)[1] ?? '';
  assert.match(run, /install -y --no-install-recommends .*libpng-dev .*libicu-dev/);
  assert.match(run, /^RUN docker-php-ext-configure gd --with-freetype --with-jpeg --with-webp$/m);
  assert.deepEqual(made.warnings, [
    'There is no composer.lock, so the same commit may get other versions tomorrow. Commit one.',
  ]);
});

test('extensions that locked packages require are installed, but not those of development packages', async () => {
  const lock = {
    packages: [{ name: 'a/b', require: { 'ext-bcmath': '*' }, suggest: { 'ext-soap': 'faster' } }],
    'packages-dev': [{ name: 'c/d', require: { 'ext-gmp': '*' } }],
  };
  assert.deepEqual(installed(await plan({}, { 'composer.lock': JSON.stringify(lock) })), ['bcmath']);
});

test('frameworks get database drivers, since PDO alone is not enough', async () => {
  for (const name of ['laravel/framework', 'doctrine/doctrine-bundle', 'ext-pdo']) {
    assert.deepEqual(installed(await plan({ [name]: '*' })), ['pdo_mysql', 'pdo_pgsql'], name);
  }
  assert.deepEqual(installed(await plan({ 'ext-pdo': '*', 'ext-pdo_sqlite': '*' })), []);
});

test('an app without composer gets the extensions that its code uses', async () => {
  const made = await repository.plan({
    'index.php': '<?php require "config/db.php";',
    'config/db.php': '<?php $db = new PDO("mysql:host=$host"); $old = mysqli_connect($host);',
  });
  assert.deepEqual(installed(made), ['mysqli', 'pdo_mysql']);
  assert.doesNotMatch((await repository.plan({ 'index.php': '<?php phpinfo();' })).dockerfile.text, /docker-php-ext/);
});

test('WordPress gets the extensions for its database and for images', async () => {
  const made = await repository.plan({ 'index.php': '', 'wp-includes/version.php': '' });
  assert.deepEqual(installed(made), ['exif', 'gd', 'intl', 'mysqli', 'zip']);
});

test('PECL extensions are installed with pecl, and unknown ones cause a warning', async () => {
  const made = await plan({ 'ext-redis': '*', 'ext-cobol': '*' });
  assert.match(made.dockerfile.text, /^RUN pecl install redis && docker-php-ext-enable redis$/m);
  assert.match(made.warnings.join(), /orkestr cannot install: ext-cobol\./);
});

test('Symfony runs with APP_ENV=prod, since its development packages are not installed', async () => {
  assert.match((await plan({ 'symfony/framework-bundle': '*' })).dockerfile.text, /^ENV HOME=\/tmp APP_ENV=prod$/m);
});

test('PHP errors go to the log and not to visitors', async () => {
  const conf = (await plan({})).files.find(({ path }) => path.endsWith('apache.conf'))?.text ?? '';
  assert.match(conf, /<IfModule php_module>\n[^<]*php_flag display_errors off\n/);
});

test('Symfony compiles its asset map after all files are copied', async () => {
  const packages = { 'symfony/framework-bundle': '7.4.*', 'symfony/asset-mapper': '7.4.*' };
  const made = await plan(packages, { 'importmap.php': '' });
  assert.equal(made.buildCommand, 'php bin/console importmap:install && php bin/console asset-map:compile');
  assert.match(
    made.dockerfile.text,
    /ENV .*APP_ENV=prod\n[^]*COPY --from=vendor [^]*\nRUN php bin\/console importmap:/,
  );
  assert.equal((await plan(packages)).buildCommand, undefined);
  const tailwind = await plan({ ...packages, 'symfonycasts/tailwind-bundle': '*' }, { 'importmap.php': '' });
  assert.match(
    tailwind.buildCommand ?? '',
    /install && php bin\/console tailwind:build --minify && .* asset-map:compile$/,
  );
});

test('a front end whose build calls artisan is built in a stage with PHP and its extensions', async () => {
  const manifest = {
    scripts: { build: 'vite build' },
    devDependencies: { vite: '7', '@laravel/vite-plugin-wayfinder': '^0.1.3' },
  };
  const laravel = { 'laravel/framework': '^12.0' };
  const { text } = (await plan(laravel, { 'package.json': JSON.stringify(manifest) })).dockerfile;
  assert.match(text, /^FROM php:8\.4-apache-trixie AS php\nRUN apt-get .*libpq-dev .*\nRUN docker-php-ext-install /m);
  assert.match(text, /^FROM php AS assets\nRUN .*libatomic1 .*\nCOPY --from=node \/usr\/local \/usr\/local\n/m);
  assert.match(text, /COPY --from=vendor \/app\/vendor vendor\nRUN npm run build\n\nFROM php\nENV /);
});

test('a warning names each variable that Laravel needs and the environment lacks', async () => {
  const { warnings } = await plan({ 'laravel/framework': '^12.0' }, { 'composer.lock': '{}' });
  assert.equal(warnings.length, 2);
  assert.match(warnings.join(), /needs APP_KEY: .*needs DB_CONNECTION or DB_URL or SESSION_DRIVER: /);
  const variables = { APP_KEY: 'base64:x', SESSION_DRIVER: 'file' };
  assert.deepEqual((await repository.planAsItIs({ variables })).warnings, []);
  const older = await plan({ 'laravel/framework': '^10.0' }, { 'composer.lock': '{}' });
  assert.doesNotMatch(older.warnings.join(), /DB_CONNECTION/);
});

test('PHP version ranges are read by the rules of composer', async () => {
  for (const [range, version] of [
    ['^7.3|^8.0', '8.4'],
    ['~8.1', '8.4'],
    ['~8.2.0 || ~8.3.0', '8.3'],
    ['8.2.*', '8.2'],
  ] as const) {
    assert.equal((await plan({ php: range })).version, version, range);
  }
});
