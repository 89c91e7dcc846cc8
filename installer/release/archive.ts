/** A folder as .tar.xz, the same bytes for the same files wherever and whenever it is made. */
import { dirname, basename } from 'node:path';
import { mustRun } from '../stack/run-program.ts';

/** Time of every entry: the past, so that no clock finds it in the future. 2020-01-01T00:00:00Z. */
const ENTRY_TIME_SECONDS = 1_577_836_800;
const TIMEOUT_MS = 15 * 60_000;

/**
 * GNU tar with sorted entries, one time and owner and only rwxr-xr-x or rw-r--r--; xz in one thread, since the number of
 * threads changes its bytes.
 * @param preset 0 (fast) to 9 (small) of xz(1)
 */
export async function packFolder(folder: string, file: string, preset: number): Promise<void> {
  const sameEverywhere = [
    '--format=gnu',
    '--sort=name',
    `--mtime=@${ENTRY_TIME_SECONDS}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u+rw,go+r-w,a+X',
  ];
  const compressor = `--use-compress-program=xz -${preset} --threads=1`;
  await mustRun(
    'tar',
    ['tar', '--create', ...sameEverywhere, compressor, '--file', file, '-C', dirname(folder), basename(folder)],
    {
      timeoutMs: TIMEOUT_MS,
    },
  );
}
