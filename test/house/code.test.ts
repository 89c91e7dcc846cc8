import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../installer/stack/stack.ts';
import { importsOf, isTest, readSource, repositoryFiles, sourceFiles } from './sources.ts';

const FOLDERS = ['.ci', 'agent', 'docs', 'hub', 'installer', 'protocol', 'proxy', 'test'];
const ROOT_FILES = [
  '.gitignore',
  '.npmrc',
  '.oxfmtrc.json',
  '.oxlintrc.json',
  'LICENSE',
  'README.md',
  'package-lock.json',
  'package.json',
  'tsconfig.json',
];
const MAX_FILE_BYTES = 200_000;

/** Separate programs that another program starts and configures by environment: git starts its hook. */
const TOLD_BY_ENVIRONMENT = ['hub/git/push-hook.ts'];
/** Start commands with shell syntax run in the shell of the app's own container, never in one of the host. */
const SHELL_IN_CONTAINER = ['agent/detect/start-command.ts'];

/** Lines of code that match, as `file:line text`; comments do not count. */
function linesWith(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    readSource(file)
      .split('\n')
      .map((text, index) => ({ text, where: `${file}:${index + 1}` }))
      .filter(({ text }) => !/^\s*(?:\/\/|\*|\/\*)/.test(text) && pattern.test(text))
      .map(({ text, where }) => `${where} ${text.trim()}`),
  );
}

const isProduct = (file: string): boolean => /^(?:agent|hub|proxy|protocol)\//.test(file) && !isTest(file);

test('every file is in one of the known folders', () => {
  const strangers = repositoryFiles().filter((file) => {
    const [top = '', ...rest] = file.split('/');
    return rest.length === 0 ? !ROOT_FILES.includes(top) : !FOLDERS.includes(top);
  });
  assert.deepEqual(strangers, []);
});

test('every docs page that a file names exists', () => {
  const files = new Set(repositoryFiles());
  const gone = [...files]
    .filter((file) => /\.(?:ts|tsx|sh|md)$/.test(file))
    .flatMap((file) =>
      [...readSource(file).matchAll(/\bdocs\/(?:adr\/)?[a-z0-9-]+\.md\b/g)].map(([page]) => ({ file, page })),
    )
    .filter(({ file, page }) => !file.includes('.test.') && !files.has(page))
    .map(({ file, page }) => `${file}: ${page}`);
  assert.deepEqual(gone, []);
});

test('every file that the docs name exists', () => {
  const files = new Set(repositoryFiles());
  const gone = [...files]
    .filter((file) => /^(?:README|docs\/[^/]+)\.md$/.test(file))
    .flatMap((file) =>
      [...readSource(file).matchAll(/`((?:agent|hub|installer|protocol|proxy|test)\/[\w./-]*\.\w+)`/g)].map(
        ([, name = '']) => ({ file, name }),
      ),
    )
    // In the architecture, x.ts stands for a file to be added.
    .filter(({ name }) => !files.has(name) && !name.endsWith('/x.ts'))
    .map(({ file, name }) => `${file}: ${name}`);
  assert.deepEqual(gone, []);
});

test('no large file is committed by mistake', () => {
  const large = repositoryFiles().filter(
    (file) => file !== 'package-lock.json' && statSync(join(ROOT, file)).size > MAX_FILE_BYTES,
  );
  assert.deepEqual(large, []);
});

test('only config.ts reads environment variables', () => {
  const allowed = (file: string): boolean => file.endsWith('/config.ts') || TOLD_BY_ENVIRONMENT.includes(file);
  const files = sourceFiles().filter((file) => isProduct(file) && !allowed(file));
  assert.deepEqual(linesWith(files, /\bprocess\s*\.\s*env\b|\bprocess\[['"]env/), []);
});

test('only hub/store writes SQL with kysely', () => {
  const files = sourceFiles().filter((file) => isProduct(file) && !file.startsWith('hub/store/'));
  assert.deepEqual(
    linesWith(files, /\.(?:selectFrom|insertInto|updateTable|deleteFrom|replaceInto|mergeInto)\(|\bsql(?:<[^>]*>)?`/),
    [],
  );
  assert.deepEqual(
    files.filter((file) => importsOf(file).some(({ to, typeOnly }) => to === 'kysely' && !typeOnly)),
    [],
  );
});

test('no program is run through a shell', () => {
  const files = sourceFiles().filter((file) => !file.startsWith('test/house/'));
  assert.deepEqual(linesWith(files, /\bshell:\s*(?:true|['"])/), []);
  const shells = files
    .filter((file) => importsOf(file).some(({ to }) => to === 'node:child_process' || to === 'child_process'))
    .filter((file) =>
      /import\s*\{[^}]*\bexec(?:Sync)?\b(?!File)[^}]*\}\s*from\s*'(?:node:)?child_process'/.test(readSource(file)),
    );
  assert.deepEqual(shells, []);
  const hostSide = files.filter((file) => isProduct(file) && !SHELL_IN_CONTAINER.includes(file));
  assert.deepEqual(linesWith(hostSide, /['"](?:\/bin\/)?(?:ba|da)?sh['"],\s*\[?\s*['"]-c['"]/), []);
});

test('the code contains no TODO and no skipped or exclusive test', () => {
  const files = sourceFiles().filter((file) => !file.startsWith('test/house/'));
  assert.deepEqual(linesWith(files, /\b(?:TODO|FIXME|XXX)\b/), []);
  assert.deepEqual(linesWith(files, /\b(?:test|it|describe)\.(?:skip|only|todo)\b|\b(?:skip|todo|only):\s*true/), []);
  const comments = files.flatMap((file) =>
    [...readSource(file).matchAll(/\/\/.*\b(?:TODO|FIXME)\b.*/g)].map(([text]) => `${file} ${text}`),
  );
  assert.deepEqual(comments, []);
});

test('no file contains a path of one machine, and no code depends on a registry', () => {
  const machine = ['/work/main', '/work/shared'];
  const registries = ['registry.npmjs.org', 'registry-1.docker.io', 'ghcr.io'];
  const found = repositoryFiles()
    .filter((file) => file !== 'package-lock.json' && !file.startsWith('test/house/'))
    .flatMap((file) => {
      // A test may name a registry that must be refused; the doctor asks Docker Hub where Docker Engine does.
      const mayName = file.endsWith('.test.ts') || file === 'agent/registry/login.ts';
      const names = mayName ? machine : [...machine, ...registries];
      return names.filter((name) => readSource(file).includes(name)).map((name) => `${file}: ${name}`);
    });
  assert.deepEqual(found, []);
});
