/** The extensions that a PHP app needs: required by its packages, their databases, and its own code. */
import { z } from 'zod';
import { parseJson } from '../manifests.ts';
import { joinPath } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';

const MAX_LOCK_BYTES = 4_194_304;
const MAX_FILES = 20;
const HEAD_BYTES = 32_768;

const Require = z.record(z.string(), z.string()).catch({});
const Lock = z.looseObject({ packages: z.array(z.looseObject({ require: Require.default({}) })).default([]) });

const DATABASES = ['pdo_mysql', 'pdo_pgsql'];
/** Packages with a database driver that no package requires, since a variable of the environment selects it. */
const BY_PACKAGE: Readonly<Record<string, readonly string[]>> = {
  'laravel/framework': DATABASES,
  'illuminate/database': DATABASES,
  'doctrine/dbal': DATABASES,
  'doctrine/orm': DATABASES,
  'doctrine/doctrine-bundle': DATABASES,
  'cakephp/cakephp': DATABASES,
  'yiisoft/yii2': DATABASES,
  'codeigniter4/framework': ['mysqli'],
  'roots/wordpress': ['mysqli', 'exif', 'gd', 'intl', 'zip'],
  'johnpbloch/wordpress': ['mysqli', 'exif', 'gd', 'intl', 'zip'],
};

/** Code that uses an extension. */
const BY_CODE: readonly (readonly [extension: string, pattern: RegExp])[] = [
  ['mysqli', /\bmysqli(?:_connect|_init)?\s*\(/],
  ['pdo_mysql', /["']mysql:/],
  ['pdo_pgsql', /["']pgsql:/],
  ['pgsql', /\bpg_p?connect\s*\(/],
  ['gd', /\bimagecreate\w*\s*\(/],
  ['zip', /\bnew\s+\\?ZipArchive\b/],
  ['intl', /\bnew\s+\\?(?:NumberFormatter|IntlDateFormatter|Collator)\b/],
  ['bcmath', /\bbc(?:add|sub|mul|div|mod|pow|comp)\s*\(/],
];
/** Folders in which small apps keep their code. */
const FOLDERS = ['includes', 'inc', 'config', 'src', 'lib', 'app', 'classes', 'db'];

/** @param require requirements of composer.json: package → range */
export async function neededExtensions(
  repository: RepositoryView,
  require: Readonly<Record<string, string>>,
  documentRoot: string,
): Promise<ReadonlySet<string>> {
  const all = [require, ...(await lockedRequirements(repository))].flatMap((one) => Object.keys(one));
  const named = all.flatMap((name) => /^ext-([a-z0-9_-]+)$/i.exec(name)?.[1]?.toLowerCase() ?? []);
  // PDO without a driver cannot connect to anything.
  const drivers = named.includes('pdo') && !named.some((name) => name.startsWith('pdo_')) ? DATABASES : [];
  const known = all.flatMap((name) => BY_PACKAGE[name] ?? []);
  const wordpress = (await repository.has('wp-includes/version.php')) ? (BY_PACKAGE['roots/wordpress'] ?? []) : [];
  const called = known.length + wordpress.length > 0 ? [] : await calledExtensions(repository, documentRoot);
  return new Set([...named, ...drivers, ...known, ...wordpress, ...called]);
}

/** Requirements of the locked packages; none if the lockfile is too large. */
async function lockedRequirements(repository: RepositoryView): Promise<readonly Readonly<Record<string, string>>[]> {
  const text = await repository.head('composer.lock', MAX_LOCK_BYTES);
  if (text === null || Buffer.byteLength(text) >= MAX_LOCK_BYTES) return [];
  return parseJson('composer.lock', text, Lock).packages.map(({ require }) => require);
}

async function calledExtensions(repository: RepositoryView, documentRoot: string): Promise<string[]> {
  const found = new Set<string>();
  for (const folder of new Set(['.', documentRoot, ...FOLDERS])) {
    const files = (await repository.entries(folder)).filter((name) => name.endsWith('.php'));
    for (const name of files.slice(0, MAX_FILES)) {
      const code = (await repository.head(joinPath(folder, name), HEAD_BYTES)) ?? '';
      for (const [extension, pattern] of BY_CODE) if (pattern.test(code)) found.add(extension);
    }
  }
  return [...found];
}
