import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  BranchName,
  CommitSha,
  EnvName,
  EnvValue,
  GitUrl,
  HostName,
  ImageReference,
  ImageRepository,
  PathPrefix,
  RepositoryPath,
  Slug,
  Uuid,
} from './ids.ts';

/** Characters of names, and those that are special to a shell, a path or an option parser. */
const SIGNS = Array.from('-./:@a1 \n\t\'"`$;&|<>\\~^*?[]{}()#%\0');

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;

test('ordinary names pass', () => {
  for (const name of ['main', 'feature/a-b', 'v1.2.3', 'release_2', 'A']) assert.ok(accepts(BranchName, name), name);
  for (const url of ['https://example.org/a/b.git', 'https://example.org:8443/a/b', 'http://127.0.0.1:7700/git/x.git'])
    assert.ok(accepts(GitUrl, url), url);
  for (const path of ['.', 'apps/web', 'a.b/c_d', '@scope/pkg']) assert.ok(accepts(RepositoryPath, path), path);
  for (const prefix of ['/', '/api', '/a/b.c']) assert.ok(accepts(PathPrefix, prefix), prefix);
  for (const host of ['localhost', 'a.example.org', 'xn--bcher-kva.example']) assert.ok(accepts(HostName, host), host);
  assert.ok(accepts(Slug, 'my-app2') && accepts(EnvName, '_A1') && accepts(CommitSha, 'a'.repeat(40)));
});

test('names that look like an option, climb out of a folder, or mean something to a program are refused', () => {
  for (const name of [
    '-b',
    '--upload-pack=x',
    'a..b',
    'a//b',
    '/a',
    'a/',
    'a.lock',
    'a/.b',
    'a b',
    'a\nb',
    'a~1',
    'a^',
    'a:b',
    '',
  ])
    assert.ok(!accepts(BranchName, name), name);
  for (const url of [
    'ext::sh -c x',
    'file:///etc',
    'ssh://h/x',
    'git@h:x',
    '-x',
    'https://u:p@h/x',
    'https://h/x?y',
    'https://h/x#y',
    'https://-h/x',
    'https://h/x y',
    'https://h',
    'https://h/"x',
    "https://h/'x",
    'https://h/$(x)',
    'https://h/x\n',
  ])
    assert.ok(!accepts(GitUrl, url), url);
  for (const path of ['..', 'a/../b', '/a', '-a', 'a//b', 'a/', 'a/./b', 'a\\b', 'a\0b', ''])
    assert.ok(!accepts(RepositoryPath, path), path);
  for (const prefix of ['a', '/a/', '//', '/..', '/a/../b', '/%2f', '/a?b'])
    assert.ok(!accepts(PathPrefix, prefix), prefix);
  for (const host of ['A.example', 'a..b', '-a.b', 'a_b', 'a.b.', 'a:80', '[::1]', ''])
    assert.ok(!accepts(HostName, host), host);
  const refused = HostName.safeParse('müller.de').error?.issues[0]?.message;
  assert.equal(refused, 'a host name in lower case, with other letters than a to z as xn--…');
  for (const name of ['1A', 'A-B', 'A=B', 'A B', 'A\n', '', '='])
    assert.ok(!accepts(EnvName, name), JSON.stringify(name));
  for (const id of ['../x', 'A'.repeat(36), '', '01a206dd-a6e7-7a23-b18c-1c5c57a5a3bc\n'])
    assert.ok(!accepts(Uuid, id), id);
  assert.ok(!accepts(EnvValue, 'a\0b'));
});

test('no valid branch, path or URL starts like an option or contains white space, quotes or shell characters', () => {
  const hostile = fc.string({ unit: fc.constantFrom(...SIGNS), maxLength: 30 });
  fc.assert(
    fc.property(hostile, (text) => {
      for (const schema of [BranchName, RepositoryPath, GitUrl, Slug, HostName]) {
        if (accepts(schema, text)) assert.doesNotMatch(text, /^-|[\s'"`$;&|<>\\*?[\]{}()#\0]|(?:^|\/)\.\.(?:\/|$)/);
      }
    }),
    { numRuns: 5000 },
  );
});

test('an image repository names its registry and has no tag, scheme, login or capital letter', () => {
  for (const name of [
    'docker.io/team/app',
    'localhost/app',
    'localhost:5000/app',
    'registry:5000/a/b-c__d.e/f',
    'registry.example.com/app',
    '127.0.0.1:5000/team/app',
  ]) {
    assert.ok(accepts(ImageRepository, name), name);
    assert.ok(accepts(ImageReference, `${name}@sha256:${'a'.repeat(64)}`), name);
  }
  for (const name of [
    'app',
    'team/app',
    'registry.example.com',
    'registry.example.com/',
    'registry.example.com/app:1',
    'registry.example.com/App',
    'https://registry.example.com/app',
    'user@registry.example.com/app',
    'registry.example.com/../app',
    'registry.example.com//app',
    '-registry.example.com/app',
    'registry.example.com/-app',
    'registry.example.com:0/app',
    `registry.example.com/app@sha256:${'a'.repeat(64)}`,
  ]) {
    assert.ok(!accepts(ImageRepository, name), name);
  }
});
