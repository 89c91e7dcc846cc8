/** Size limits of a repository: checked on its git objects before any file is written, and on disk while fetching. */
import { isUtf8 } from 'node:buffer';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import type { StepLog } from '../deployment/ports.ts';
import { exec } from '../lib/exec.ts';

export interface CheckoutLimits {
  /** Bytes on disk, for git's objects and for the files separately. */
  readonly bytes: number;
  readonly files: number;
  /** For the whole checkout, ms. */
  readonly timeoutMs: number;
}

interface TreeSize {
  readonly files: number;
  readonly bytes: number;
  /** Paths of the first ones. */
  readonly submodules: readonly string[];
  /** Whether there is any .gitattributes file. */
  readonly hasAttributes: boolean;
}

const MAX_SUBMODULES = 100;
const WATCH_INTERVAL_MS = 300;
const MIB = 1_048_576;

/**
 * Counts the files of a commit by its trees, before writing any: a tree bomb never reaches the disk.
 * @throws OrkestrError ORK_REPO_TOO_LARGE, ORK_REPO_UNSAFE
 */
export async function measureTree(
  repository: string,
  commit: string,
  env: Readonly<Record<string, string>>,
  limits: CheckoutLimits,
  signal: AbortSignal,
): Promise<TreeSize> {
  const size = { files: 0, bytes: 0, submodules: [] as string[], hasAttributes: false };
  const stop = new AbortController();
  let rest = '';
  await exec('git', ['ls-tree', '-r', '-l', '-z', '--full-tree', commit], {
    cwd: repository,
    env,
    timeoutMs: limits.timeoutMs,
    signal: AbortSignal.any([signal, stop.signal]),
    maxOutputBytes: 1024,
    onOutput: (chunk) => {
      const lines = (rest + chunk.toString('latin1')).split('\0');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [, type, bytes = '0', path = ''] = /^\d+ (\w+) [0-9a-f]+ +(\d+|-)\t(.*)/s.exec(line) ?? [];
        if (!isUtf8(Buffer.from(path, 'latin1'))) stop.abort(unreadableName(path));
        if (type !== 'commit') size.files += 1;
        else if (size.submodules.length < MAX_SUBMODULES) size.submodules.push(Buffer.from(path, 'latin1').toString());
        size.hasAttributes ||= path === '.gitattributes' || path.endsWith('/.gitattributes');
        size.bytes += bytes === '-' ? 0 : Number(bytes);
      }
      const reason = tooLarge(size, limits);
      if (reason !== null) stop.abort(reason);
    },
  });
  return size;
}

/** Nothing later could handle the name: the check of links cannot find the file, and BuildKit rejects it. */
function unreadableName(path: string): OrkestrError {
  const shown = Buffer.from(path, 'latin1').toString().slice(0, 300);
  return new OrkestrError('ORK_REPO_UNSAFE', `The name of ${shown} in the repository is not UTF-8.`);
}

/**
 * Aborts `stop` with ORK_REPO_TOO_LARGE once the folder exceeds the limit. Returns a function that stops watching.
 * @param log gets a line, once, if the folder cannot be read
 */
export function watchFolder(
  folder: string,
  limits: CheckoutLimits,
  stop: AbortController,
  log: Pick<StepLog, 'line'>,
  everyMs = WATCH_INTERVAL_MS,
): () => void {
  let busy = false;
  let isReported = false;
  const failed = (error: unknown): void => {
    // A file that vanishes meanwhile (git renames its temporary files) only delays the measurement.
    if (isReported || (error as NodeJS.ErrnoException).code === 'ENOENT') return;
    isReported = true;
    log.line(`The size of the checkout could not be watched: ${String(error)}`);
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    folderBytes(folder)
      .then((bytes) => {
        const reason = tooLarge({ files: 0, bytes }, limits);
        if (reason !== null) stop.abort(reason);
      })
      .catch(failed)
      .finally(() => {
        busy = false;
      });
  }, everyMs);
  return () => clearInterval(timer);
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

function tooLarge(size: { files: number; bytes: number }, limits: CheckoutLimits): OrkestrError | null {
  if (size.files > limits.files) {
    return new OrkestrError('ORK_REPO_TOO_LARGE', `The repository has more than ${limits.files} files.`);
  }
  if (size.bytes > limits.bytes) {
    return new OrkestrError(
      'ORK_REPO_TOO_LARGE',
      `The repository is larger than ${Math.round(limits.bytes / MIB)} MiB.`,
    );
  }
  return null;
}
