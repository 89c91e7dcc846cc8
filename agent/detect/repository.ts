/** Reads an untrusted checkout: limited in every way, and never through a link that leads outside. */
import { constants } from 'node:fs';
import { lstat, open, opendir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { MIB } from '../../protocol/size.ts';

/** Largest file that a detector reads, bytes. Manifests are far smaller; of lockfiles only the head is read. */
export const MAX_FILE_BYTES = MIB;
/** Entries read per folder. */
export const MAX_ENTRIES = 2_000;
/** Paths examined per analysis; a large monorepo needs a few hundred. */
export const MAX_LOOKS = 5_000;
/** Bytes read per analysis. */
export const MAX_BYTES = 32 * MAX_FILE_BYTES;

/** A detector's view of a checkout. Paths are relative to its folder. */
export interface RepositoryView {
  /** Whether there is a regular file at `path`. */
  has(path: string): Promise<boolean>;
  /**
   * The full text of a file, or null if there is no regular file at `path`.
   * @throws OrkestrError ORK_MANIFEST_INVALID if it is larger than 1 MiB or not UTF-8; ORK_REPO_UNSAFE on a link that
   * leads outside; ORK_REPO_TOO_LARGE if the budget of the analysis is spent
   */
  text(path: string): Promise<string | null>;
  /** The first `bytes` of a file, or null. For files of any size. */
  head(path: string, bytes: number): Promise<string | null>;
  /** Names in a folder, sorted, at most {@link MAX_ENTRIES}; folders end in `/`. Excludes links. Empty if absent. */
  entries(folder: string): Promise<readonly string[]>;
}

/** Counts what an analysis has read, up to its limits; shared by all views of a checkout. */
export class ReadingBudget {
  looks = 0;
  bytes = 0;
  /** What was truncated, for the plan's warnings. */
  readonly notes = new Set<string>();

  look(): void {
    this.looks += 1;
    if (this.looks > MAX_LOOKS) throw spent(`${MAX_LOOKS} files and folders`);
  }

  read(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > MAX_BYTES) throw spent(`${MAX_BYTES} bytes`);
  }
}

function spent(what: string): OrkestrError {
  return new OrkestrError('ORK_REPO_TOO_LARGE', `Analyzing the repository would need to read more than ${what}.`);
}

/** PowerShell writes this BOM in `pip freeze > requirements.txt`, which pip accepts. No other tool reads UTF-16. */
const UTF_16_MARK = Buffer.from([0xff, 0xfe]);

/** File system errors that mean "nothing to read here". */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES']);

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ABSENT.has(String(error.code));
}

/** Memoizes by path: detectors ask for the same files. */
function remembered<T>(look: (path: string) => Promise<T>): (path: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (path) => {
    const found = known.get(path) ?? look(path);
    known.set(path, found);
    return found;
  };
}

/** A view of `directory`, which must be an absolute path. Reads nothing yet. */
export function openRepository(directory: string, budget = new ReadingBudget()): RepositoryView {
  const root = remembered(() => realpath(directory));

  /** The real path of `path`, or null if it does not exist. */
  async function resolve(path: string): Promise<string | null> {
    budget.look();
    const inside = await root('');
    let real: string;
    try {
      real = await realpath(join(inside, path));
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
    if (real === inside || real.startsWith(inside + sep)) return real;
    throw new OrkestrError('ORK_REPO_UNSAFE', `${path} is a link that points outside the root directory.`);
  }

  /** The first `bytes` of a regular file, and its full size; null if there is none. */
  async function read(path: string, bytes: number): Promise<{ data: Buffer; size: number } | null> {
    const real = await resolve(path);
    if (real === null || !(await lstat(real)).isFile()) return null;
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat();
      const data = Buffer.alloc(Math.min(size, bytes));
      budget.read(data.length);
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
    has: remembered(async (path) => {
      const real = await resolve(path);
      return real !== null && (await lstat(real)).isFile();
    }),
    text: remembered(async (path) => {
      const found = await read(path, MAX_FILE_BYTES);
      if (found === null) return null;
      if (found.size > MAX_FILE_BYTES) {
        throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} is larger than ${MAX_FILE_BYTES} bytes.`);
      }
      const encoding = path.endsWith('.txt') && found.data.indexOf(UTF_16_MARK) === 0 ? 'utf-16le' : 'utf-8';
      try {
        return new TextDecoder(encoding, { fatal: true }).decode(found.data);
      } catch (cause) {
        throw new OrkestrError('ORK_MANIFEST_INVALID', `${path} is not UTF-8 text.`, { cause });
      }
    }),
    async head(path, bytes) {
      const found = await read(path, bytes);
      return found === null ? null : found.data.toString('utf8');
    },
    entries: remembered(async (folder) => {
      const real = await resolve(folder);
      if (real === null || !(await lstat(real)).isDirectory()) return [];
      const found: string[] = [];
      for await (const entry of await opendir(real)) {
        if (entry.isDirectory()) found.push(`${entry.name}/`);
        else if (entry.isFile()) found.push(entry.name);
        if (found.length < MAX_ENTRIES) continue;
        budget.notes.add(
          `orkestr looked at only ${MAX_ENTRIES} entries of ${folder === '.' ? 'the root directory' : folder}.`,
        );
        break;
      }
      return found.sort();
    }),
  };
}

/** A view of a folder within another view, under the same limits. */
export function within(view: RepositoryView, folder: string): RepositoryView {
  if (folder === '.') return view;
  return {
    has: (path) => view.has(joinPath(folder, path)),
    text: (path) => view.text(joinPath(folder, path)),
    head: (path, bytes) => view.head(joinPath(folder, path), bytes),
    entries: (path) => view.entries(joinPath(folder, path)),
  };
}

/** The path of what is at `path` in `folder`: `services/go.work`. `.` is the folder itself, on either side. */
export function joinPath(folder: string, path: string): string {
  if (folder === '.') return path;
  return path === '.' ? folder : `${folder}/${path}`;
}

/** The first of the files that exists, with its text. */
export async function firstFile(
  view: RepositoryView,
  paths: readonly string[],
): Promise<{ path: string; text: string } | null> {
  for (const path of paths) {
    const text = await view.text(path);
    if (text !== null) return { path, text };
  }
  return null;
}

/** Those of the files that exist. */
export async function present(view: RepositoryView, paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) if (await view.has(path)) found.push(path);
  return found;
}
