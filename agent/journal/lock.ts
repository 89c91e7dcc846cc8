/**
 * One agent per state folder. The lock is a POSIX record lock that SQLite holds on a small file (an open exclusive
 * transaction), so the kernel drops it however the process ends: no stale pid file, no guess about pids.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import { loadSqlite } from './database.ts';

interface StateLock {
  release(): void;
}

/** @throws OrkestrError ORK_ALREADY_RUNNING naming the process that holds the lock */
export async function lockState(stateFolder: string): Promise<StateLock> {
  const Sqlite = await loadSqlite();
  const pidPath = join(stateFolder, 'agent.pid');
  const database = new Sqlite(join(stateFolder, 'agent.lock'), { timeout: 0 });
  try {
    // In memory: a rollback journal on disk would outlive a killed agent and has nothing to roll back.
    database.pragma('journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) throw error;
    throw new OrkestrError(
      'ORK_ALREADY_RUNNING',
      `Another agent${readPid(pidPath)} is using the state folder ${stateFolder}.`,
      { cause: error },
    );
  }
  writePid(pidPath);
  return {
    release() {
      rmSync(pidPath, { force: true });
      database.close();
    },
  };
}

/** Only for the message: on a full disk the agent starts without it. */
function writePid(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Only for the message: the lock itself never depends on it. */
function readPid(path: string): string {
  try {
    return ` (process ${readFileSync(path, 'utf8').trim()})`;
  } catch {
    return ''; // the holder has not written it yet, or somebody deleted the file
  }
}
