/** How programs and libraries report that a disk, its inodes or a quota are exhausted. */
const CODES = new Set([
  'ENOSPC',
  'EDQUOT',
  'SQLITE_FULL',
  // The -shm file beside a SQLite database in WAL mode could not be grown.
  'SQLITE_IOERR_SHMSIZE',
]);
/** Messages of programs (strerror(3)). */
const WORDS = /No space left on device|Disk quota exceeded/;

/** Also follows `cause`, for errors that were wrapped on the way. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return CODES.has((error as NodeJS.ErrnoException).code ?? '') || WORDS.test(error.message) || isDiskFull(error.cause);
}
