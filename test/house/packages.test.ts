import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, readSource, sourceFiles } from './sources.ts';

interface Lock {
  readonly packages: Readonly<
    Record<string, { version?: string; resolved?: string; integrity?: string; link?: boolean }>
  >;
}
type Names = Readonly<Record<string, string>>;

const lock = JSON.parse(readSource('package-lock.json')) as Lock;
const manifest = JSON.parse(readSource('package.json')) as Readonly<Record<string, Names | undefined>>;
const GROUPS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const;

test('package.json and package-lock.json name the same dependencies, and all are locked', () => {
  const root = lock.packages[''] as unknown as Readonly<Record<string, Names | undefined>>;
  for (const group of GROUPS) {
    assert.deepEqual(root[group], manifest[group], group);
    const open = Object.keys(manifest[group] ?? {}).filter((name) => !lock.packages[`node_modules/${name}`]?.version);
    assert.deepEqual(open, [], `${group} without a locked version`);
  }
});

test('the lock file names no registry, so that any mirror can serve it, and has a hash for every package', () => {
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
  assert.deepEqual(
    packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path),
    [],
  );
  assert.deepEqual(
    packages.filter(([, { integrity }]) => !integrity).map(([path]) => path),
    [],
  );
});

/** `@scope/name/sub` and `name/sub` → the package. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

test('every package that the product imports is a dependency, and each dependency is imported', () => {
  const product = sourceFiles().filter(
    (file) =>
      /^(?:agent|hub|proxy|protocol|installer)\//.test(file) &&
      !/\.test\.tsx?$|\/test-[^/]+\.ts$|^hub\/console\//.test(file),
  );
  const imported = new Set(
    product
      .flatMap(importsOf)
      .filter(({ ours, to }) => !ours && !to.startsWith('node:'))
      .map(({ to }) => packageOf(to)),
  );
  const dependencies = Object.keys(manifest['dependencies'] ?? {});
  assert.deepEqual([...imported].filter((name) => !dependencies.includes(name)).toSorted(), []);
  assert.deepEqual(
    dependencies.filter((name) => !imported.has(name)),
    [],
  );
});
