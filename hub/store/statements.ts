/**
 * Statements of a database, prepared once: SQLite takes longer to read one than to run it. Measured, CPU: a report that comes in
 * 52 µs in place of 178, a page of twenty deployments 104 in place of 194.
 */
import type { SqliteStatement } from 'kysely';

/** A list of another length is another statement, so there is no end of them. */
const MOST = 256;

interface Prepared extends SqliteStatement {
  /** Whether somebody is still reading its rows one by one. */
  readonly busy?: boolean;
}

/** Answers a `prepare` that remembers the statements that were asked for last. */
export function rememberStatements(prepare: (sql: string) => Prepared, most = MOST): (sql: string) => Prepared {
  /** The one that was asked for last is the last. */
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
