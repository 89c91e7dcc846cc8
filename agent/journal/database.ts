/** Opens the journal's SQLite file; makes sure of a suitable runtime, an intact file and a known schema. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { OrkestrError } from '../../protocol/errors.ts';
import { keepCopy } from '../../protocol/service/database-copy.ts';
import type { Logger } from '../../protocol/service/logger.ts';

export type Database = BetterSqlite3.Database;

/** N-API level that the prebuilt better-sqlite3 needs; with a lower one the process would segfault on import. */
const NEEDED_NAPI = 10;
const KEPT_QUARANTINES = 3;
const SCHEMA_FOLDER = join(import.meta.dirname, 'schema');
/** Name in the agent's state folder. */
export const JOURNAL_FILE = 'journal.sqlite';

/** @throws OrkestrError ORK_CONFIG on a Node.js that cannot load the addon */
export async function loadSqlite(napi: string | undefined = process.versions.napi): Promise<typeof BetterSqlite3> {
  if (!(Number(napi) >= NEEDED_NAPI)) {
    throw new OrkestrError(
      'ORK_CONFIG',
      `This Node.js (${process.version}, N-API ${napi ?? 'none'}) is too old: the agent needs N-API ${NEEDED_NAPI}, which means Node.js 22.14 or newer.`,
    );
  }
  return (await import('better-sqlite3')).default;
}

interface Opened {
  readonly database: Database;
  /** Folder with the damaged file, if there was one and an empty journal took its place. */
  readonly quarantined: string | null;
}

/**
 * The journal at `path`, migrated to the newest schema. A damaged file is moved aside and an empty one created:
 * reconcile then finds what runs from Docker labels and the proxy's table.
 * @throws OrkestrError ORK_CONFIG if a newer version of the agent wrote it
 */
export async function openDatabase(path: string, log: Logger, now: () => number): Promise<Opened> {
  const Sqlite = await loadSqlite();
  try {
    return { database: openSound(Sqlite, path), quarantined: null };
  } catch (error) {
    if (!isDamage(error)) throw error;
    const folder = quarantine(path, now());
    log.error(
      { err: error, folder },
      'the journal is damaged: moved aside, starting with an empty one; live deployments are read back from the engine and the proxy',
    );
    return { database: openSound(Sqlite, path), quarantined: folder };
  }
}

function openSound(Sqlite: typeof BetterSqlite3, path: string): Database {
  const database = new Sqlite(path, { timeout: 5000 });
  try {
    database.pragma('journal_mode = WAL');
    // An accepted job and an acknowledged report must survive a power cut, not only a crash of the process.
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    checkIntegrity(database);
    migrate(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

class Damaged extends Error {}

function checkIntegrity(database: Database): void {
  const findings = database.pragma('integrity_check(5)') as { integrity_check: string }[];
  const first = findings[0]?.integrity_check;
  if (first !== 'ok') throw new Damaged(findings.map((one) => one.integrity_check).join('; '));
}

function isDamage(error: unknown): boolean {
  if (error instanceof Damaged) return true;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB');
}

/** Moves the file and its WAL files into a folder beside it; keeps only the newest few such folders. */
function quarantine(path: string, now: number): string {
  const prefix = `${basename(path)}.damaged-`;
  const folder = join(dirname(path), `${prefix}${now}`);
  mkdirSync(folder, { mode: 0o700, recursive: true });
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      renameSync(path + suffix, join(folder, basename(path) + suffix));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const old = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix))
    .sort()
    .slice(0, -KEPT_QUARANTINES);
  for (const name of old) rmSync(join(dirname(path), name), { recursive: true });
  return folder;
}

/** Applies numbered files, each in one transaction that also advances `user_version`. Keeps a copy from before. */
function migrate(database: Database, path: string): void {
  const files = schemaFiles();
  const present = Number(database.pragma('user_version', { simple: true }));
  if (present > files.length) {
    throw new OrkestrError(
      'ORK_CONFIG',
      `The journal has schema ${present}, this agent knows up to ${files.length}: a newer version wrote it. Install that version again.`,
    );
  }
  if (present > 0 && present < files.length) {
    keepCopy(path, (copy) => database.prepare('VACUUM INTO ?').run(copy));
  }
  for (const [index, name] of files.entries()) {
    if (index < present) continue;
    database.transaction(() => {
      database.exec(readFileSync(join(SCHEMA_FOLDER, name), 'utf8'));
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}

const schemaFiles = (): readonly string[] =>
  readdirSync(SCHEMA_FOLDER)
    .filter((name) => /^\d{3}-[a-z0-9-]+\.sql$/.test(name))
    .sort();

/** Schema version that this agent writes. */
export const newestSchema = (): number => schemaFiles().length;
