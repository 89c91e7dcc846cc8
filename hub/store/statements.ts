/**
 * Caches prepared statements of a database, since SQLite takes longer to parse one than to run it. Measured CPU time:
 * storing a report takes 52 µs instead of 178, a page of twenty deployments 104 instead of 194.
 */
import type { SqliteStatement } from 'kysely';

/** Cache size: lists of different lengths make different statements, so their number is unbounded. */
const MAX_STATEMENTS = 256;

interface Prepared extends SqliteStatement {
  /** Whether a caller is still iterating over its rows. */
  readonly busy?: boolean;
}

/** Returns a `prepare` that caches the most recently used statements. */
export function rememberStatements(
  prepare: (sql: string) => Prepared,
  most = MAX_STATEMENTS,
): (sql: string) => Prepared {
  /** The most recently used statement is last. */
  const known = new Map<string, Prepared>();
  return (sql) => {
    const found = known.get(sql);
    if (found?.busy === true) return prepare(sql);
    const statement = found ?? prepare(sql);
    known.delete(sql);
    known.set(sql, statement);
    if (known.size > most) known.delete(known.keys().next().value ?? '');
    return statement;
  };
}
