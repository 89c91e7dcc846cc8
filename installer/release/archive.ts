/** Packs a folder as .tar.xz: the same files give the same bytes, wherever and whenever. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';

/** Time of every entry: in the past, so that no clock finds it in the future. 2020-01-01T00:00:00Z. */
const ENTRY_TIME_SECONDS = 1_577_836_800;

const SAME_EVERYWHERE = [
  '--format=gnu',
  '--sort=name',
  `--mtime=@${ENTRY_TIME_SECONDS}`,
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--mode=u+rw,go+r-w,a+X',
] as const;

/**
 * Runs GNU tar with sorted entries, one time and owner and only rwxr-xr-x or rw-r--r--, and xz in one thread, since the
 * number of threads changes its bytes. Does not use tar's own option for a compressor, which runs it through a shell.
 * @param preset 0 (fast) to 9 (small) of xz(1)
 * @throws OrkestrError ORK_PREPARE_FAILED
 */
export async function packFolder(folder: string, file: string, preset: number): Promise<void> {
  const to = openSync(file, 'w');
  try {
    const tar = spawn('tar', ['--create', ...SAME_EVERYWHERE, '-C', dirname(folder), '--', basename(folder)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const xz = spawn('xz', [`-${preset}`, '--threads=1', '--stdout'], { stdio: [tar.stdout, to, 'inherit'] });
    // Only the two programs hold the pipe, so an xz that fails ends tar, too.
    tar.stdout.destroy();
    try {
      await Promise.all([endOf('tar', tar), endOf('xz', xz)]);
    } finally {
      // If one failed, the other would wait forever.
      tar.kill();
      xz.kill();
    }
  } finally {
    closeSync(to);
  }
}

const endOf = (name: string, child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (why: string, cause?: Error): void =>
      reject(new OrkestrError('ORK_PREPARE_FAILED', `${name} ${why}.`, { cause }));
    child.once('error', (cause) => fail('could not be run', cause));
    child.once('exit', (code) => (code === 0 ? resolve() : fail(`ended with ${code ?? 'a signal'}`)));
  });
