/** How programs and libraries say that a disk, its inodes or a quota are used up. */
const CODES = new Set([
  'ENOSPC',
  'EDQUOT',
  'SQLITE_FULL',
  // What SQLite keeps beside a database in WAL mode (the -shm) cannot get its size.
  'SQLITE_IOERR_SHMSIZE',
]);
/** What a program has printed (strerror(3)). */
const WORDS = /No space left on device|Disk quota exceeded/;

/** Also when it is told by somebody in between. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return CODES.has((error as NodeJS.ErrnoException).code ?? '') || WORDS.test(error.message) || isDiskFull(error.cause);
}
