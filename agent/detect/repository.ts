/** Reading a checkout that nobody vouches for: bounded, and never through a link that leads out of it. */
import { constants } from 'node:fs';
import { lstat, open, opendir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';

/** Largest file that a detector reads, bytes. Manifests are far below; lockfiles are only looked at from their head. */
export const MAX_FILE_BYTES = 1_048_576;
/** Entries of one folder that are looked at. */
export const MAX_ENTRIES = 2_000;

/** What detectors see of a checkout. Paths are relative to the root directory of the environment. */
export interface RepositoryView {
  /** True when there is a regular file at `path`. */
  has(path: string): Promise<boolean>;
  /**
   * The whole text of a file, or null when there is no regular file at `path`.
   * @throws OrkestrError ORK_MANIFEST_INVALID when it is larger than 1 MiB or not UTF-8; ORK_REPO_UNSAFE on a link that leads out
   */
  text(path: string): Promise<string | null>;
  /** The first `bytes` of a file, or null. For files of any size. */
  head(path: string, bytes: number): Promise<string | null>;
  /** Names in a folder, sorted, at most {@link MAX_ENTRIES}; folders end in `/`. Links are left out. Empty when absent. */
  entries(folder: string): Promise<readonly string[]>;
}

/** Errors of the file system that mean "there is nothing to read here". */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES']);

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ABSENT.has(String(error.code));
}

/** A view of `directory`, which must be an absolute path. Nothing is read yet. */
export function openRepository(directory: string): RepositoryView {
  const root = realpath(directory);

  /** The real path of `path`, or null when nothing is there. */
  async function resolve(path: string): Promise<string | null> {
    const inside = await root;
    let real: string;
    try {
      real = await realpath(join(inside, path));
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
    if (real === inside || real.startsWith(inside + sep)) return real;
    throw new OrkestrError('ORK_REPO_UNSAFE', `${path} is a link that leads out of the root directory.`);
  }

  /** At most `bytes` of a regular file and its whole size, or null when there is none. */
  async function read(path: string, bytes: number): Promise<{ data: Buffer; size: number } | null> {
    const real = await resolve(path);
    if (real === null || !(await lstat(real)).isFile()) return null;
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      const data = Buffer.alloc(Math.min(size, bytes));
      let filled = 0;
      while (filled < data.length) {
        const { bytesRead } = await file.read(data, filled, data.length - filled, filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return { data: data.subarray(0, filled), size };
    } finally {
      await file.close();
    }
  }

  return {
    async has(path) {
      const real = await resolve(path);
      return real !== null && (await lstat(real)).isFile();
    },
    async text(path) {
      const found = await read(path, MAX_FILE_BYTES);
      if (found === null) return null;
      if (found.size > MAX_FILE_BYTES) {
        throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} is larger than ${MAX_FILE_BYTES} bytes.`);
      }
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(found.data);
      } catch (cause) {
        throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} is not UTF-8 text.`, { cause });
      }
    },
    async head(path, bytes) {
      const found = await read(path, bytes);
      return found === null ? null : found.data.toString('utf8');
    },
    async entries(folder) {
      const real = await resolve(folder);
      if (real === null || !(await lstat(real)).isDirectory()) return [];
      const found: string[] = [];
      for await (const entry of await opendir(real)) {
        if (entry.isDirectory()) found.push(`${entry.name}/`);
        else if (entry.isFile()) found.push(entry.name);
        if (found.length === MAX_ENTRIES) break;
      }
      return found.sort();
    },
  };
}
