/**
 * Room on the disk that is kept for the agent's start. SQLite cannot open a journal that was closed in order without writing some
 * 32 KiB beside it; and a host whose disk is full is often booted again, after which apps have other addresses: without an
 * agent visitors are led to the old ones.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import type { Logger } from '../../protocol/service/logger.ts';

const RESERVE_FILE = 'reserve';
/** Also for some first records. */
const RESERVE_BYTES = 256 * 1024;

/** What `work` makes of the state folder; where its disk is full, with the room that was kept. @throws what `work` throws */
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

/** Puts it by for the next start, unless it is there or there is no room for it now. */
export function keepReserve(stateFolder: string, log: Logger): void {
  const path = join(stateFolder, RESERVE_FILE);
  if (existsSync(path)) return;
  try {
    // Random: a file system that compresses would keep no room for zeros.
    writeFileSync(path, randomBytes(RESERVE_BYTES), { mode: 0o600, flush: true });
  } catch (error) {
    rmSync(path, { force: true });
    log.warn({ err: error }, 'no room is kept for the next start of the agent');
  }
}
