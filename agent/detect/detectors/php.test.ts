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

test('an extension that composer.json asks for is installed with what it is compiled with', async () => {
  const made = await plan({ 'ext-gd': '*', 'ext-intl': '*', 'ext-json': '*', 'ext-zlib': '*' });
  assert.deepEqual(installed(made), ['gd', 'intl']);
  const run = made.dockerfile.text.split(/^FROM php/m)[1] ?? '';
  assert.match(run, /install -y --no-install-recommends .*libpng-dev .*libicu-dev/);
  assert.match(run, /^RUN docker-php-ext-configure gd --with-freetype --with-jpeg --with-webp$/m);
  assert.deepEqual(made.warnings, [
    'There is no composer.lock, so the same commit may get other versions tomorrow. Commit one.',
  ]);
});

test('what the locked packages ask for is installed too, and what those for development ask for is not', async () => {
  const lock = {
    packages: [{ name: 'a/b', require: { 'ext-bcmath': '*' }, suggest: { 'ext-soap': 'faster' } }],
    'packages-dev': [{ name: 'c/d', require: { 'ext-gmp': '*' } }],
  };
  assert.deepEqual(installed(await plan({}, { 'composer.lock': JSON.stringify(lock) })), ['bcmath']);
});

test('frameworks get the drivers of databases, and PDO is not enough', async () => {
  for (const name of ['laravel/framework', 'doctrine/doctrine-bundle', 'ext-pdo']) {
    assert.deepEqual(installed(await plan({ [name]: '*' })), ['pdo_mysql', 'pdo_pgsql'], name);
  }
  assert.deepEqual(installed(await plan({ 'ext-pdo': '*', 'ext-pdo_sqlite': '*' })), []);
});

test('an app without composer gets what its code calls', async () => {
  const made = await repository.plan({
    'index.php': '<?php require "config/db.php";',
    'config/db.php': '<?php $db = new PDO("mysql:host=$host"); $old = mysqli_connect($host);',
  });
  assert.deepEqual(installed(made), ['mysqli', 'pdo_mysql']);
  assert.doesNotMatch((await repository.plan({ 'index.php': '<?php phpinfo();' })).dockerfile.text, /docker-php-ext/);
});

test('WordPress gets its database and what it makes pictures with', async () => {
  const made = await repository.plan({ 'index.php': '', 'wp-includes/version.php': '' });
  assert.deepEqual(installed(made), ['exif', 'gd', 'intl', 'mysqli', 'zip']);
});

test('extensions of PECL are installed by it, and those that nobody knows are a warning', async () => {
  const made = await plan({ 'ext-redis': '*', 'ext-cobol': '*' });
  assert.match(made.dockerfile.text, /^RUN pecl install redis && docker-php-ext-enable redis$/m);
  assert.match(made.warnings.join(), /ext-cobol, which orkestr cannot install/);
});

test('Symfony without its packages for development is told that it is in production', async () => {
  assert.match((await plan({ 'symfony/framework-bundle': '*' })).dockerfile.text, /^ENV HOME=\/tmp APP_ENV=prod$/m);
});
