/** The journal's current state, read with or without a running agent. Never writes, never migrates, never repairs. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeSealer } from '../../protocol/sealing.ts';
import type { Sealer } from '../../protocol/sealing.ts';
import type { JobRecord, LiveRecord } from '../deployment/records.ts';
import type { Database } from './database.ts';
import { JOURNAL_FILE, loadSqlite, newestSchema } from './database.ts';
import { jobFromRow, liveFromRow } from './rows.ts';
import type { JobRow, LiveRow } from './rows.ts';

/** A journal larger than this is neither copied nor checked page by page, bytes: that would take seconds. */
const LARGE_BYTES = 64 * 1024 * 1024;
const BUSY_MS = 300;

export interface JournalSnapshot {
  readonly live: readonly LiveRecord[];
  /** All jobs in the journal, newest first. */
  readonly deployments: readonly JobRecord[];
  /** Deployment id → when its first step began, ISO 8601. */
  readonly begun: ReadonlyMap<string, string>;
  readonly projectIds: readonly string[];
  /** Number of reports that wait for the hub. */
  readonly outbox: number;
}

/** Why a file cannot be read as a journal. */
export interface UnreadableJournal {
  readonly unreadable: 'damaged' | 'newer';
  readonly why: string;
}

/** @returns null if this state folder has no journal */
export async function readJournal(stateFolder: string): Promise<JournalSnapshot | UnreadableJournal | null> {
  const path = join(stateFolder, JOURNAL_FILE);
  if (!existsSync(path)) return null;
  let database: Database | undefined;
  try {
    database = await openForLooking(path);
    const schema = Number(database.pragma('user_version', { simple: true }));
    if (schema > newestSchema()) {
      return { unreadable: 'newer', why: `it has schema ${schema}, this version knows up to ${newestSchema()}` };
    }
    const damage = damageOf(database);
    return damage === null ? snapshotOf(database) : { unreadable: 'damaged', why: damage };
  } catch (error) {
    return { unreadable: 'damaged', why: error instanceof Error ? error.message : String(error) };
  } finally {
    database?.close();
  }
}

/**
 * In WAL mode SQLite writes files beside the database even to read it, which fails on a full or read-only disk. A file
 * that was closed cleanly has no WAL, so a copy in memory is complete. With a running agent, and after a killed one,
 * there is a WAL.
 */
export async function openForLooking(path: string): Promise<Database> {
  const Sqlite = await loadSqlite();
  if (existsSync(`${path}-wal`) || statSync(path).size > LARGE_BYTES) {
    return new Sqlite(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
  }
  const copy = readFileSync(path);
  // Sets the file format versions to "no WAL" (sqlite.org/fileformat.html, 1.3.3): a copy in memory cannot have one.
  copy.fill(1, 18, 20);
  return new Sqlite(copy, { readonly: true });
}

function damageOf(database: Database): string | null {
  const pages = Number(database.pragma('page_count', { simple: true }));
  const pageBytes = Number(database.pragma('page_size', { simple: true }));
  if (pages * pageBytes > LARGE_BYTES) return null;
  const [first] = database.pragma('quick_check(1)') as { quick_check: string }[];
  return first?.quick_check === 'ok' ? null : (first?.quick_check ?? 'quick_check says nothing');
}

const snapshotOf = (database: Database): JournalSnapshot => ({
  live: database.prepare<[], LiveRow>('SELECT * FROM live').all().map(liveFromRow),
  deployments: database.prepare<[], JobRow>('SELECT * FROM job ORDER BY position DESC').all().map(jobFromRow),
  begun: new Map(
    database
      .prepare<[], { id: string; at: string }>(
        'SELECT deployment_id AS id, min(started_at) AS at FROM step GROUP BY deployment_id',
      )
      .all()
      .map(({ id, at }) => [id, at]),
  ),
  projectIds: database
    .prepare<[], { id: string }>('SELECT DISTINCT project_id AS id FROM environment')
    .all()
    .map(({ id }) => id),
  outbox: database.prepare<[], { n: number }>('SELECT count(*) AS n FROM outbox').get()?.n ?? 0,
});

/** The bodies of all jobs, decrypted, and with them every secret in the journal. Only for redacting other texts. */
export async function readPayloads(stateFolder: string): Promise<readonly unknown[]> {
  const path = join(stateFolder, JOURNAL_FILE);
  const keyPath = join(stateFolder, 'secret.key');
  if (!existsSync(path) || !existsSync(keyPath)) return [];
  const sealer = sealerToRead(keyPath);
  const database = await openForLooking(path);
  try {
    return database
      .prepare<[], JobRow>("SELECT * FROM job WHERE payload <> ''")
      .all()
      .map(({ payload, deployment_id }): unknown => JSON.parse(sealer.open(payload, deployment_id)));
  } finally {
    database.close();
  }
}

/** For an existing key: does not create a missing one. */
export const sealerToRead = (keyPath: string): Sealer =>
  makeSealer(Buffer.from(readFileSync(keyPath, 'utf8'), 'base64'));
