import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { OrkestrError } from '../../protocol/errors.ts';
import { isReferenceViolation, isUniqueViolation, openDatabase } from './database.ts';
import { MIGRATIONS } from './migrations/index.ts';

function freshPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-db-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'hub.sqlite');
}

const team = { id: 't', slug: 't', name: 'T', plan: 'pro', created_at: '2030-01-01T00:00:00.000Z' };
const host = { id: 'h', team_id: 't', name: 'h', acknowledged: 0, created_at: team.created_at };
const project = { id: 'p', team_id: 't', slug: 'p', origin: 'hub' as const, created_at: team.created_at };

test('the database uses WAL, synchronous FULL, foreign keys, a busy timeout and a limited journal', async (t) => {
  const db = await openDatabase(freshPath(t));
  t.after(() => db.destroy());
  const pragma = async (name: string): Promise<unknown> =>
    Object.values((await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(db)).rows[0] ?? {})[0];
  assert.equal(await pragma('journal_mode'), 'wal');
  assert.equal(await pragma('synchronous'), 2); // FULL
  assert.equal(await pragma('foreign_keys'), 1);
  assert.equal(await pragma('busy_timeout'), 5000);
  assert.equal(await pragma('journal_size_limit'), 64 * 1024 ** 2);
});

test('every foreign key has an index, so that a delete does not scan whole tables', async (t) => {
  const db = await openDatabase(freshPath(t));
  t.after(() => db.destroy());
  const { rows } = await sql<{ table: string; column: string }>`
    select m.name as "table", f."from" as "column" from sqlite_master m, pragma_foreign_key_list(m.name) f
    where m.type = 'table' and not exists (
      select 1 from pragma_index_list(m.name) i, pragma_index_info(i.name) c where c.seqno = 0 and c.name = f."from")`.execute(
    db,
  );
  assert.deepEqual(rows, []);
});

test('reopening keeps the data', async (t) => {
  const path = freshPath(t);
  const first = await openDatabase(path);
  await first.insertInto('team').values(team).execute();
  await first.destroy();
  const second = await openDatabase(path);
  t.after(() => second.destroy());
  assert.equal((await second.selectFrom('team').selectAll().execute()).length, 1);
});

test('several processes can open a new database at the same time', async (t) => {
  const path = freshPath(t);
  const module = new URL('./database.ts', import.meta.url).href;
  const program = `import { openDatabase } from ${JSON.stringify(module)};
    await (await openDatabase(process.argv[1])).destroy();`;
  const open = (): Promise<unknown> =>
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program, path]);
  await Promise.all([open(), open(), open()]);
});

test('a transaction that has read can always write, because it locks out other writers from its start', async (t) => {
  const path = freshPath(t);
  const [db, other] = [await openDatabase(path), await openDatabase(path)];
  t.after(() => Promise.all([db.destroy(), other.destroy()]));
  await sql`pragma busy_timeout = 0`.execute(other); // it would wait for us, and we for it: both run on this thread
  await db.transaction().execute(async (tx) => {
    await tx.selectFrom('team').selectAll().execute();
    await assert.rejects(other.insertInto('team').values(team).execute(), { code: 'SQLITE_BUSY' });
    await tx
      .insertInto('team')
      .values({ ...team, slug: 'ours' })
      .execute();
  });
  assert.equal((await other.selectFrom('team').select('slug').executeTakeFirst())?.slug, 'ours');
});

test('a failed migration is rolled back completely', async (t) => {
  const path = freshPath(t);
  await (await openDatabase(path)).destroy();
  const broken: Migration = {
    async up(db: Kysely<unknown>) {
      await db.schema.createTable('half').addColumn('id', 'text').execute();
      throw new Error('the power went');
    },
  };
  await assert.rejects(openDatabase(path, { ...MIGRATIONS, '9999-broken': broken }), /the power went/);
  const db = await openDatabase(path);
  t.after(() => db.destroy());
  const { rows } = await sql`select name from sqlite_master where name = 'half'`.execute(db);
  assert.deepEqual(rows, []);
});

test('a copy from before a migration is kept and readable by the older hub; a new database has none', async (t) => {
  const path = freshPath(t);
  const [newest = ''] = Object.keys(MIGRATIONS).toSorted().slice(-1);
  const older = Object.fromEntries(Object.entries(MIGRATIONS).filter(([name]) => name !== newest));
  const before = await openDatabase(path, older);
  await before.insertInto('team').values(team).execute();
  await before.destroy();
  assert.equal(existsSync(`${path}.before`), false);
  await (await openDatabase(path)).destroy();
  const copy = await openDatabase(`${path}.before`, older);
  t.after(() => copy.destroy());
  assert.equal((await copy.selectFrom('team').selectAll().execute()).length, 1);
});

/** A folder on a file system of 2 MiB. */
function smallDisk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-db-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]);
  t.after(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

test('opening the database on a full disk reports ORK_DISK_FULL', async (t) => {
  const folder = smallDisk(t);
  const path = join(folder, 'hub.sqlite');
  await (await openDatabase(path)).destroy();
  assert.throws(() => writeFileSync(join(folder, 'filler'), Buffer.alloc(4_000_000)), { code: 'ENOSPC' });
  await assert.rejects(openDatabase(path), { code: 'ORK_DISK_FULL' });
  rmSync(join(folder, 'filler'));
  await (await openDatabase(path)).destroy();
});

test('a disk without space for the copy reports ORK_DISK_FULL, and no partial copy remains', async (t) => {
  const folder = smallDisk(t);
  const path = join(folder, 'hub.sqlite');
  const [, ...later] = Object.keys(MIGRATIONS).toSorted().toReversed();
  const before = await openDatabase(path, Object.fromEntries(later.map((name) => [name, MIGRATIONS[name]!])));
  await sql`create table filler (bytes blob)`.execute(before);
  await sql`insert into filler values (randomblob(1000000))`.execute(before);
  await before.destroy();
  await assert.rejects(openDatabase(path), (error) => {
    assert.ok(error instanceof OrkestrError && error.code === 'ORK_DISK_FULL');
    assert.match(error.message, /a copy as large as itself/);
    return true;
  });
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.before')),
    [],
  );
});

test('a database of a newer version is refused and left unchanged', async (t) => {
  const path = freshPath(t);
  const db = await openDatabase(path);
  await sql`insert into kysely_migration values ('9999-future', '2040-01-01')`.execute(db);
  await db.destroy();
  await assert.rejects(openDatabase(path), (error) => {
    assert.ok(error instanceof OrkestrError && error.code === 'ORK_CONFIG');
    assert.match(error.message, /newer version of orkestr/);
    return true;
  });
});

test('a file that is not a database is named in the error', async (t) => {
  const path = freshPath(t);
  writeFileSync(path, 'This is a letter to my aunt. '.repeat(100));
  await assert.rejects(openDatabase(path), (error) => {
    assert.ok(error instanceof OrkestrError && error.code === 'ORK_CONFIG');
    assert.match(error.message, /hub\.sqlite cannot be used: .*not a database/);
    return true;
  });
});

test('unique violations and foreign key violations are distinguished', async (t) => {
  const db = await openDatabase(freshPath(t));
  t.after(() => db.destroy());
  const failure = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => assert.fail('It was taken.'),
      (error: unknown) => error,
    );
  await db.insertInto('team').values(team).execute();
  await db.insertInto('host').values(host).execute();
  await db.insertInto('project').values(project).execute();
  await db
    .insertInto('environment')
    .values({
      id: 'e',
      project_id: 'p',
      slug: 'e',
      branch: 'main',
      host_id: 'h',
      settings: '{}',
      generation: 0,
      env_version: 0,
      created_at: team.created_at,
    })
    .execute();
  const doubled = await failure(db.insertInto('team').values(team).execute());
  const unknownTeam = await failure(
    db
      .insertInto('host')
      .values({ ...host, id: 'h2', team_id: 'x' })
      .execute(),
  );
  const hostInUse = await failure(db.deleteFrom('host').where('id', '=', 'h').execute());
  assert.deepEqual([isUniqueViolation(doubled), isReferenceViolation(doubled)], [true, false]);
  assert.deepEqual([isUniqueViolation(unknownTeam), isReferenceViolation(unknownTeam)], [false, true]);
  assert.deepEqual([isUniqueViolation(hostInUse), isReferenceViolation(hostInUse)], [false, true]);
});

test('variables of a database without kinds become app variables and keep their values', async (t) => {
  const path = freshPath(t);
  const { '0001-initial': initial, '0002-removals': removals } = MIGRATIONS;
  const before = await openDatabase(path, { '0001-initial': initial, '0002-removals': removals } as typeof MIGRATIONS);
  await before.insertInto('team').values(team).execute();
  await before.insertInto('host').values(host).execute();
  await before.insertInto('project').values(project).execute();
  await sql`insert into environment values ('e', 'p', 'e', 'main', 'h', '{}', 0, 0, ${team.created_at})`.execute(
    before,
  );
  await sql`insert into variable values ('e', 'A', 'sealed', ${team.created_at})`.execute(before);
  await before.destroy();
  const db = await openDatabase(path);
  t.after(() => db.destroy());
  assert.deepEqual(await db.selectFrom('variable').selectAll().execute(), [
    { environment_id: 'e', kind: 'app', name: 'A', value: 'sealed', updated_at: team.created_at },
  ]);
  await db.deleteFrom('environment').execute();
  assert.deepEqual(await db.selectFrom('variable').selectAll().execute(), [], 'they still go with it');
});
