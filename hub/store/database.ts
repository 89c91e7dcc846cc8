/** Opens the hub's store: SQLite through kysely, migrated to the newest schema before use. */
import { Kysely, sql, SqliteAdapter, SqliteDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { OrkestrError } from '../../protocol/errors.ts';
import { keepCopy } from '../../protocol/service/database-copy.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import { MIGRATIONS } from './migrations/index.ts';
import type { Database } from './schema.ts';
import { rememberStatements } from './statements.ts';

/** The store, or one transaction on it: every function of store/ takes either. */
export type Db = Kysely<Database>;

/** Node-API version that better-sqlite3 is built for; older runtimes crash on import instead of failing. */
const NAPI_NEEDED = 10;
/** How long a write waits for another writing process (setup, backup), ms. */
const BUSY_TIMEOUT_MS = 5_000;

/** Size to which the write-ahead log is truncated after a checkpoint. */
const LOG_BYTES_KEPT = 64 * 1024 ** 2;

/** kysely's default adapter assumes otherwise, but SQLite rolls back schema changes too, so a migration is atomic. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class TransactionalDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

/**
 * Opens the database file and runs the `migrations` that it has not seen.
 * @throws OrkestrError ORK_CONFIG when the file is no database, is damaged, or comes from a newer version;
 * ORK_DISK_FULL.
 */
export async function openDatabase(path: string, migrations = MIGRATIONS): Promise<Db> {
  if (Number(process.versions.napi) < NAPI_NEEDED) {
    throw new OrkestrError('ORK_CONFIG', `This needs Node.js 24 or newer; it runs on ${process.version}.`);
  }
  const { default: Sqlite } = await import('better-sqlite3');
  const sqlite = new Sqlite(path);
  const db = new Kysely<Database>({
    dialect: new TransactionalDialect({
      database: {
        // A transaction that reads first and writes later cannot wait for another process's write, only fail; one that
        // takes the write lock at once waits for busy_timeout.
        prepare: rememberStatements((sql) => sqlite.prepare(sql === 'begin' ? 'begin immediate' : sql)),
        close: () => sqlite.close(),
      },
    }),
  });
  try {
    // WAL: readers never wait for the writer. FULL: committed data survives a power cut.
    sqlite.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    sqlite.pragma('journal_mode = WAL');
    sqlite.pragma('synchronous = FULL');
    sqlite.pragma('foreign_keys = ON');
    // The log grows while a backup reads; this shrinks it afterwards.
    sqlite.pragma(`journal_size_limit = ${LOG_BYTES_KEPT}`);
    if (await isOlder(db, migrations)) keepCopy(path, (copy) => sqlite.prepare('VACUUM INTO ?').run(copy));
    await migrate(db, migrations);
    return db;
  } catch (cause) {
    await db.destroy();
    sqlite.close(); // destroy() closes it only after the first query
    if (isDiskFull(cause)) throw new OrkestrError('ORK_DISK_FULL', noRoomFor(path), { cause });
    throw new OrkestrError('ORK_CONFIG', `The database ${path} cannot be used: ${reason(cause)}`, { cause });
  }
}

/** Rejects unless the database answers and has its schema: reads a table that the migrations make. */
export async function checkDatabase(db: Db): Promise<void> {
  await sql`select 1 from team limit 1`.execute(db);
}

/** Whether a write failed because a row with the same key exists. */
export function isUniqueViolation(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY';
}

/** Whether a write failed because other rows still refer to this one, or the referenced row is gone. */
export function isReferenceViolation(error: unknown): boolean {
  // SQLite reports RESTRICT as a trigger
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'SQLITE_CONSTRAINT_FOREIGNKEY' || code === 'SQLITE_CONSTRAINT_TRIGGER';
}

/** Translates a failed write into a problem of the machine, in words for users; undefined for other causes. */
export function storeTrouble(cause: unknown): OrkestrError | undefined {
  if (isDiskFull(cause)) {
    return new OrkestrError('ORK_DISK_FULL', 'The disk of the hub is full: nothing was stored.', { cause });
  }
  if (!String((cause as { code?: unknown } | null)?.code).startsWith('SQLITE_BUSY')) return undefined;
  return new OrkestrError('ORK_HUB_BUSY', 'Another program has locked the database of the hub: nothing was stored.', {
    cause,
  });
}

const migratorOf = (db: Db, migrations: typeof MIGRATIONS): Migrator =>
  new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });

/** Whether an older version created the database; false for a new file. */
async function isOlder(db: Db, migrations: typeof MIGRATIONS): Promise<boolean> {
  const seen = (await migratorOf(db, migrations).getMigrations()).filter(({ executedAt }) => executedAt !== undefined);
  return seen.length > 0 && seen.length < Object.keys(migrations).length;
}

/**
 * In one transaction that holds the write lock from its start: a second process waits, then finds the migration done.
 */
async function migrate(db: Db, migrations: typeof MIGRATIONS): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { error } = await migratorOf(tx, migrations).migrateToLatest();
    if (error !== undefined) throw error;
  });
}

const noRoomFor = (path: string): string =>
  `The disk has no room for ${path}: some 32 KiB beside it at every start, and a copy as large as itself before a new version changes it.`;

function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  // kysely's message when a migration was executed that this version does not have
  return text.includes('is missing') ? `it was made by a newer version of orkestr (${text}).` : `${text}.`;
}
