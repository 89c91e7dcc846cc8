import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignorePatterns } from './ignore-pattern.ts';

/** Whether the only pattern of `text` matches `path`. */
function fits(text: string, path: string): boolean {
  const [pattern, ...more] = ignorePatterns(text);
  assert.ok(pattern !== undefined && more.length === 0, `${text} is one pattern`);
  return pattern.fits(path.split('/'));
}

/** Pattern, path, whether it matches; most cases are from moby/patternmatcher. */
const CASES: readonly (readonly [pattern: string, path: string, fits: boolean])[] = [
  ['**', 'file', true],
  ['**/', 'dir/file', true],
  ['**/**', 'dir/file', true],
  ['dir/**', 'dir', false],
  ['dir/**', 'dir/dir2/file', true],
  ['**/dir2/*', 'dir/dir2/file', true],
  ['**/dir2/**', 'dir/dir2/dir2/file', true],
  ['**/file', 'dir/dir/file', true],
  ['**/file', 'dir/dir/other', false],
  ['**file', 'dir/myfile', true],
  ['**.log', 'a/b.log', true],
  ['logs**', 'logs2/a', true],
  ['src**/a', 'src/x/a', true],
  ['**/a/**/b', 'x/a/y/a/z/b', true],
  ['**/a/*/b', 'a/x/y/a/z/b', true],
  ['**/a/*/b', 'a/x/y/b', false],
  ['node_modules', 'node_modules/a/b', true],
  ['node_modules', 'sub/node_modules/a', false],
  ['*/temp*', 'sub/temporary/a', true],
  ['*/temp*', 'sub/sub/temp', false],
  ['a/b', 'a', false],
  ['/a/', 'a', true],
  ['./a//b/../c', 'a/c', true],
  ['../a', 'a', false],
  ['[a-c]d', 'bd', true],
  ['[^a-c]d', 'bd', false],
  ['[^a-c]d', 'xd', true],
  ['[\\]]d', ']d', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['abc.def', 'abcxdef', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXcYb', false],
  // Special characters of regular expressions.
  ['app/(admin)', 'app/(admin)/page.tsx', true],
  ['app/(admin)', 'app/admin/page.tsx', false],
  ['libstdc++', 'libstdc++/a', true],
  ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
  ['a[b', 'a[b', true],
  // Linux file names are case-sensitive.
  ['README*', 'readme.ts', false],
  ['größe*', 'größe-2', true],
];

for (const [pattern, path, expected] of CASES) {
  test(`${pattern} ${expected ? 'matches' : 'does not match'} ${path}`, () =>
    assert.equal(fits(pattern, path), expected));
}

test('comments, blank lines, Windows line ends and a byte order mark are not part of a pattern', () => {
  const patterns = ignorePatterns('\uFEFFnode_modules\r\n# a\r\n\r\n  !  keep me  \r\n!\r\n');
  assert.deepEqual(
    patterns.map(({ isException }) => isException),
    [false, true],
  );
  assert.equal(patterns[0]?.fits(['node_modules']), true);
  assert.equal(patterns[1]?.fits(['keep me']), true);
});

test('no pattern or name in a repository makes the matching take excessive time', () => {
  const began = process.cpuUsage();
  const stars = '*a'.repeat(120);
  assert.equal(fits(`${stars}b`, 'a'.repeat(255)), false);
  assert.equal(fits('(a+)+b', 'a'.repeat(255)), false);
  assert.equal(fits(`${'**/a/'.repeat(100)}b`, 'a/'.repeat(1000)), false);
  assert.equal(fits(`${'**/*a*'.repeat(50)}b`, `${'a'.repeat(200)}/`.repeat(20)), false);
  assert.equal(fits('['.repeat(60_000), 'a'), false);
  const { user } = process.cpuUsage(began);
  assert.ok(user < 2_000_000, `${user} µs of a processor`);
});
