/** The hub's state folder: its files, and a lock that admits one hub at a time. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../protocol/errors.ts';

export interface StatePaths {
  readonly database: string;
  readonly secretKey: string;
  readonly hubKey: string;
  readonly lock: string;
}

/**
 * Creates the folder if needed, accessible to its owner only.
 * @throws OrkestrError ORK_CONFIG when it cannot be used
 */
export function prepareState(folder: string): StatePaths {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OrkestrError('ORK_CONFIG', `ORKESTR_HUB_STATE: ${folder} cannot be used (${reason}).`, { cause });
  }
  return {
    database: join(folder, 'hub.sqlite'),
    secretKey: join(folder, 'secret.key'),
    hubKey: join(folder, 'hub-key.pem'),
    lock: join(folder, 'hub.lock'),
  };
}

/**
 * Locks the folder for this process. The kernel releases the lock when the process ends in any way, so no stale lock
 * remains. Returns a function that releases it.
 * @throws OrkestrError ORK_ALREADY_RUNNING
 */
export async function lockState(path: string): Promise<() => void> {
  const { default: Sqlite } = await import('better-sqlite3');
  // An empty database in an exclusive transaction: Node has no flock(2), and SQLite provides an equivalent.
  const lock = new Sqlite(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause;
    throw new OrkestrError('ORK_ALREADY_RUNNING', 'Another hub is using this state folder.', { cause });
  }
  return () => lock.close();
}
