/** Go: a driver of SQLite that go.mod requires directly, unless only tests import it, or it is in memory. */
import type { RepositoryView } from '../repository.ts';
import { lineOf } from './lines.ts';
import { importsOf } from './source-files.ts';

/** PocketBase keeps everything in files too. */
const DRIVERS =
  'github\\.com/mattn/go-sqlite3|modernc\\.org/sqlite|github\\.com/(?:glebarez|ncruces)/(?:go-)?sqlite3?|gorm\\.io/driver/sqlite|zombiezen\\.com/go/sqlite|github\\.com/pocketbase/pocketbase';
const REQUIRED = new RegExp(`^\\s*(?:require\\s+)?(?:${DRIVERS})\\s+v(?!.*// indirect)`);
const IMPORTED = new RegExp(`^[^/]*"(?:${DRIVERS})(?:/[^"]*)?"`);
/** Beside a driver of a server, SQLite is usually for development or tests. */
const OTHERS =
  /^\s*(?:require\s+)?(?:github\.com\/(?:lib\/pq|jackc\/pgx|go-sql-driver\/mysql|microsoft\/go-mssqldb|denisenkom\/go-mssqldb)|gorm\.io\/driver\/(?:postgres|mysql|sqlserver)|go\.mongodb\.org\/mongo-driver)(?:\/v\d+)?\s+v(?!.*\/\/ indirect)/;

export async function goFile(app: RepositoryView): Promise<string | null> {
  const text = await app.text('go.mod');
  const line = text === null ? null : lineOf(text, REQUIRED);
  if (text === null || line === null || lineOf(text, OTHERS) !== null) return null;
  const { used, isPassing } = await importsOf(app, kindOf, IMPORTED);
  if (used !== null) return `${used} imports SQLite`;
  return isPassing ? null : `go.mod line ${line} requires SQLite`;
}

const kindOf = (name: string): 'app' | 'test' | null =>
  name.endsWith('_test.go') ? 'test' : name.endsWith('.go') ? 'app' : null;
