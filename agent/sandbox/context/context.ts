/** The build context: the checkout without what .dockerignore excludes, plus the files of the plan. */
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type IgnoreRules, ignoreRules } from './ignore-rules.ts';
import { type Revision, contextTime } from './time.ts';

/** Files of a folder that are examined concurrently. */
const LOOKED_AT = 32;
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;
const PROGRAM_MODE = 0o755;
const LINK_MODE = 0o777;

export interface ContextRequest {
  readonly directory: string;
  readonly dockerfilePath: string;
  /** The path of `directory` in the repository. */
  readonly rootDirectory: string;
  /** Files that replace those of the checkout and are included whatever .dockerignore says: path → text. */
  readonly files: ReadonlyMap<string, string>;
  /** Sets the time of all entries; absent: each keeps its own. */
  readonly revision?: Revision | undefined;
}

interface EntryBase {
  /** Path in the context. */
  readonly name: string;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  /** Nanoseconds since the epoch. */
  readonly modifiedAt: bigint;
}

export type ContextFile = EntryBase & {
  readonly kind: 'file';
  /** Bytes. */
  readonly size: number;
  /** Its path, or its content. */
  readonly content: { readonly path: string } | { readonly bytes: Buffer };
};

export type ContextEntry =
  | ContextFile
  | (EntryBase & { readonly kind: 'folder' })
  | (EntryBase & { readonly kind: 'link'; readonly target: string });

/**
 * Entries of the context: folders before their content and names in byte order, as BuildKit requires. Symbolic links
 * stay links and are never followed; sockets, pipes and devices are left out.
 */
export async function* contextEntries(request: ContextRequest): AsyncGenerator<ContextEntry> {
  const rules = await ignoreRules(request.directory, request.dockerfilePath, request.files);
  const { revision, rootDirectory, files } = request;
  const time = revision === undefined ? null : contextTime(revision, [rootDirectory]);
  yield* entriesBelow('', { ...request, rules, time, put: putFolders(files), unsure: [] });
}

/** The Dockerfile that is built, with its parent folders, and nothing else. */
export function dockerfileTree(path: string, text: string): ContextEntry[] {
  const parts = path.split('/');
  const above = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
  const folders = above.map((name) => ({ kind: 'folder', name, mode: FOLDER_MODE, modifiedAt: 0n }) as const);
  return [...folders, putFile(path, text, undefined)];
}

interface Walk extends ContextRequest {
  readonly rules: IgnoreRules;
  /** Time of all entries from the checkout; null: each keeps its own. */
  readonly time: bigint | null;
  /** Folders that the plan's files need → names that the plan puts in them. */
  readonly put: ReadonlyMap<string, ReadonlySet<string>>;
  /** Ignored folders above the current one: included along with the first entry in them that is. */
  readonly unsure: ContextEntry[];
}

/** `a/b/c` is `a` in the root, `b` in `a` and `c` in `a/b`. */
function putFolders(files: ContextRequest['files']): Map<string, Set<string>> {
  const folders = new Map<string, Set<string>>();
  for (const path of files.keys()) {
    const parts = path.split('/');
    for (const [index, name] of parts.entries()) {
      const folder = parts.slice(0, index).join('/');
      folders.set(folder, (folders.get(folder) ?? new Set()).add(name));
    }
  }
  return folders;
}

async function* entriesBelow(folder: string, walk: Walk, isThere = true): AsyncGenerator<ContextEntry> {
  for await (const found of lookInto(folder, walk, isThere)) {
    const { name, stats } = found;
    const text = walk.files.get(name);
    if (text !== undefined) {
      yield* sure(walk, putFile(name, text, walk.revision));
    } else if (stats?.isDirectory() === true || walk.put.has(name)) {
      yield* folderAndBelow(found, walk);
    } else if (stats !== null && !walk.rules.ignores(name)) {
      const entry = await leafEntry(name, stats, walk);
      if (entry !== null) yield* sure(walk, entry);
    }
  }
}

async function* folderAndBelow({ name, stats }: Found, walk: Walk): AsyncGenerator<ContextEntry> {
  const ignored = walk.rules.ignores(name);
  if (ignored && !walk.rules.hasExceptions && !walk.put.has(name)) return;
  const entry = folderEntry(name, stats, walk);
  if (ignored) walk.unsure.push(entry);
  else yield* sure(walk, entry);
  yield* entriesBelow(name, walk, stats?.isDirectory() === true);
  if (walk.unsure.at(-1) === entry) walk.unsure.pop();
}

function* sure({ unsure }: Walk, entry: ContextEntry): Generator<ContextEntry> {
  yield* unsure.splice(0);
  yield entry;
}

interface Found {
  readonly name: string;
  /** Null if the checkout has nothing of this name. */
  readonly stats: Stats | null;
}

/** The entries of a folder, from both checkout and plan. */
async function* lookInto(folder: string, { directory, put }: Walk, isThere: boolean): AsyncGenerator<Found> {
  const own = isThere ? await readdir(join(directory, folder), { encoding: 'buffer' }) : [];
  const there = new Set(own.map(String));
  const added = [...(put.get(folder) ?? [])].filter((name) => !there.has(name)).map((name) => Buffer.from(name));
  const names = [...own, ...added].sort((one, other) => one.compare(other)).map(String);
  for (let from = 0; from < names.length; from += LOOKED_AT) {
    yield* await Promise.all(
      names.slice(from, from + LOOKED_AT).map(async (part) => {
        const name = folder === '' ? part : `${folder}/${part}`;
        return { name, stats: there.has(part) ? await lstat(join(directory, name)) : null };
      }),
    );
  }
}

function putFile(name: string, text: string, revision: Revision | undefined): ContextFile {
  const bytes = Buffer.from(text);
  const modifiedAt = contextTime(revision, [text]);
  return { kind: 'file', name, mode: FILE_MODE, size: bytes.length, modifiedAt, content: { bytes } };
}

function folderEntry(name: string, stats: Stats | null, walk: Walk): ContextEntry {
  // If the checkout has something other than a folder here, a folder of our own replaces it.
  const own = stats?.isDirectory() === true ? stats : null;
  return { kind: 'folder', name, mode: FOLDER_MODE, modifiedAt: timeOf(own, walk) };
}

async function leafEntry(name: string, stats: Stats, walk: Walk): Promise<ContextEntry | null> {
  const path = join(walk.directory, name);
  const modifiedAt = timeOf(stats, walk);
  if (stats.isSymbolicLink()) return { kind: 'link', name, mode: LINK_MODE, modifiedAt, target: await readlink(path) };
  if (!stats.isFile()) return null;
  return { kind: 'file', name, mode: modeOf(stats), size: stats.size, modifiedAt, content: { path } };
}

/**
 * As Git means it, which only knows whether a file can be executed. The other bits of the checkout come from the umask of
 * the agent, which lets nobody else read it: an app that its Dockerfile runs as another user could not read its own files.
 */
const modeOf = (stats: Stats): number => ((stats.mode & 0o100) === 0 ? FILE_MODE : PROGRAM_MODE);

const timeOf = (stats: Stats | null, { time }: Walk): bigint => time ?? BigInt(Math.round((stats?.mtimeMs ?? 0) * 1e6));
