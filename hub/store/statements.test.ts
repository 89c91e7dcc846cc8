import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { rememberStatements } from './statements.ts';

function remembering(most?: number) {
  const sqlite = new Sqlite(':memory:');
  const asked: string[] = [];
  const prepare = rememberStatements((sql) => {
    asked.push(sql);
    return sqlite.prepare(sql);
  }, most);
  return { sqlite, asked, all: (sql: string, ...values: unknown[]) => prepare(sql).all(values), prepare };
}

test('a statement is prepared once, and the least recently used ones are dropped', () => {
  const { asked, all } = remembering(2);
  for (const sql of ['select 1', 'select 2', 'select 1', 'select 3', 'select 1', 'select 2']) all(sql);
  assert.deepEqual(asked, ['select 1', 'select 2', 'select 3', 'select 2']);
});

test('a statement that is still being iterated can run a second time', () => {
  const { sqlite, all, prepare } = remembering();
  sqlite.exec('create table t (n); insert into t values (1), (2)');
  const seen: unknown[] = [];
  for (const row of prepare('select n from t').iterate([])) seen.push(row, all('select n from t').length);
  assert.deepEqual(seen, [{ n: 1 }, 2, { n: 2 }, 2]);
});

test('a statement prepared before a schema change sees the new schema', () => {
  const { sqlite, all } = remembering();
  sqlite.exec('create table t (n); insert into t values (1)');
  assert.deepEqual(all('select * from t'), [{ n: 1 }]);
  sqlite.exec("alter table t add column m default 'new'");
  assert.deepEqual(all('select * from t'), [{ n: 1, m: 'new' }]);
  sqlite.exec('drop table t');
  assert.throws(() => all('select * from t'), /no such table/);
});
