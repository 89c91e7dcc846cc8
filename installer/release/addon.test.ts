/**
 * SQLite's addon of a release: compiled here for this machine, and for the other target if its compiler is installed.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type Sqlite from 'better-sqlite3';
import { ReleaseTarget } from '../../protocol/release.ts';
import { ROOT } from '../stack/stack.ts';
import { sqliteAddon } from './addon.ts';
import { beyond, needsOf } from './needs.ts';

const target = ReleaseTarget.parse(`linux-${arch()}`);
const published = join(ROOT, 'node_modules/better-sqlite3/prebuilds', `${target}.node`);
const node = join(ROOT, `node_modules/node-${target}/bin/node`);

test('the addon needs no newer system libraries than Node does, unlike the published addon', async () => {
  const host = await needsOf(node);
  assert.deepEqual(beyond(await needsOf(await sqliteAddon(ROOT, target)), host), []);
  assert.deepEqual(beyond(await needsOf(published), host), ['GLIBC 2.34', 'GLIBCXX 3.4.29']);
});

test('install.sh requires the C library version that Node requires', async () => {
  const least = /^LEAST_GLIBC=(.+)$/m.exec(readFileSync(join(ROOT, 'installer/install/checks.sh'), 'utf8'))?.[1];
  assert.equal(least, (await needsOf(node)).get('GLIBC'));
});

test('versions are compared as numbers, not as text, and one that is no number is always newer', () => {
  const host = new Map([['GLIBC', '2.28']]);
  assert.deepEqual(beyond(new Map([['GLIBC', '2.3.4']]), host), []);
  assert.deepEqual(beyond(new Map([['GLIBC', '2.100']]), host), ['GLIBC 2.100']);
  assert.deepEqual(beyond(new Map([['GLIBC', 'ABI_DT_RELR']]), host), ['GLIBC ABI_DT_RELR']);
  assert.deepEqual(beyond(new Map([['GCC', '3.0']]), host), ['GCC 3.0']);
});

/** The package's JavaScript with the addon at a given path. */
function databaseOver(addon: string): typeof Sqlite {
  const require = createRequire(import.meta.url);
  return require(join(ROOT, 'node_modules/better-sqlite3/lib/database.js'))(() => require(addon), false);
}

function nature(addon: string): { readonly source: unknown; readonly options: readonly unknown[] } {
  const database = new (databaseOver(addon))(':memory:');
  const options = database.pragma('compile_options') as { readonly compile_options: string }[];
  const source = database.prepare('SELECT sqlite_source_id()').pluck().get();
  database.close();
  return { source, options: options.map((row) => row.compile_options).filter((name) => !name.startsWith('COMPILER=')) };
}

test('the addon has the same SQLite and the same compile options as the published addon', async () => {
  assert.deepEqual(nature(await sqliteAddon(ROOT, target)), nature(published));
});
