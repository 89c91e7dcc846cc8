/**
 * Disk space reserved for the agent's start. SQLite cannot open a journal that was closed cleanly without writing about
 * 32 KiB beside it. A host with a full disk is often rebooted, after which apps have other addresses; without an agent,
 * the proxy would keep sending visitors to the old ones.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import type { Logger } from '../../protocol/service/logger.ts';

const RESERVE_FILE = 'reserve';
/** Enough for some first records, too. */
const RESERVE_BYTES = 256 * 1024;

/**
 * Runs `work` on the state folder. If the disk is full, frees the reserve and runs it again.
 * @throws what `work` throws
 */
export async function withReserve<T>(stateFolder: string, log: Logger, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const path = join(stateFolder, RESERVE_FILE);
    if (!isDiskFull(error) || !existsSync(path)) throw error;
    log.warn({ err: error }, 'the disk is full: the agent starts with the room that it has kept');
    rmSync(path);
    return work();
  }
}

/** Creates the reserve for the next start, unless it exists or there is no room for it now. */
export function keepReserve(stateFolder: string, log: Logger): void {
  const path = join(stateFolder, RESERVE_FILE);
  if (existsSync(path)) return;
  try {
    // Random: a compressing file system would reserve no room for zeros.
    writeFileSync(path, randomBytes(RESERVE_BYTES), { mode: 0o600, flush: true });
  } catch (error) {
    rmSync(path, { force: true });
    log.warn({ err: error }, 'no room is kept for the next start of the agent');
  }
}
