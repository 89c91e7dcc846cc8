/** The build context as a tar stream: the checkout without what .dockerignore names, and the files of the plan. */
import { createReadStream } from 'node:fs';
import type { Stats } from 'node:fs';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import dockerignore from '@balena/dockerignore';
import { type Pack, pack } from 'tar-stream';

export interface ContextRequest {
  readonly directory: string;
  /** Path of the Dockerfile in the context: `<path>.dockerignore` goes before `.dockerignore`, as BuildKit has it. */
  readonly dockerfilePath: string;
  /** Files that are put in whatever .dockerignore says, instead of those of the checkout: path → text. */
  readonly files: ReadonlyMap<string, string>;
  /** Time of all entries; absent: each one's own. */
  readonly modifiedAt?: Date | undefined;
}

/** Links are sent as links and never followed; sockets, pipes and devices stay out. */
export function packContext(request: ContextRequest): Readable {
  const tar = pack();
  fill(tar, request).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error), // the reader of the stream gets it
  );
  return Readable.from(tar);
}

/** Sizes of the files of the checkout that {@link packContext} would send, bytes; 0 for links. */
export async function* contextSizes(request: ContextRequest): AsyncGenerator<number> {
  for await (const { stats } of entriesBelow(request.directory, '', await selectionOf(request))) {
    if (!stats.isDirectory()) yield stats.isFile() ? stats.size : 0;
  }
}

async function fill(tar: Pack, request: ContextRequest): Promise<void> {
  const { directory, files, modifiedAt } = request;
  for (const [name, text] of files) await addEntry(tar, { name, mode: 0o644, mtime: modifiedAt }, text);
  const selection = await selectionOf(request);
  for await (const found of entriesBelow(directory, '', selection)) {
    await addFound(tar, found, modifiedAt ?? found.stats.mtime);
  }
}

interface Selection {
  readonly rules: IgnoreRules;
  readonly files: ReadonlyMap<string, string>;
  /** Folders of those files: what the checkout has of that name must be a folder too. */
  readonly ownFolders: ReadonlySet<string>;
}

async function selectionOf({ directory, dockerfilePath, files }: ContextRequest): Promise<Selection> {
  const ownFolders = new Set([...files.keys()].flatMap(foldersAbove));
  return { rules: await ignoreRules(directory, dockerfilePath, files), files, ownFolders };
}

/** `a/b/c` is in `a` and `a/b`. */
function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

interface Found {
  /** Path in the context. */
  readonly name: string;
  readonly path: string;
  readonly stats: Stats;
}

/** What of the checkout belongs to the context: folders before what is in them. */
async function* entriesBelow(root: string, folder: string, selection: Selection): AsyncGenerator<Found> {
  const names = (await readdir(join(root, folder))).sort();
  for (const entry of names) {
    const name = folder === '' ? entry : `${folder}/${entry}`;
    if (selection.files.has(name)) continue;
    const path = join(root, name);
    const stats = await lstat(path);
    const ignored = selection.rules.ignores(name);
    if (stats.isDirectory()) {
      if (ignored && !selection.rules.hasExceptions) continue;
      if (!ignored) yield { name, path, stats };
      yield* entriesBelow(root, name, selection);
    } else if (!ignored && !selection.ownFolders.has(name)) {
      yield { name, path, stats };
    }
  }
}

async function addFound(tar: Pack, { name, path, stats }: Found, mtime: Date): Promise<void> {
  const { size } = stats;
  const mode = stats.mode & 0o7777;
  if (stats.isDirectory()) {
    await addEntry(tar, { name, type: 'directory', mode, mtime });
  } else if (stats.isSymbolicLink()) {
    await addEntry(tar, { name, type: 'symlink', linkname: await readlink(path), mtime });
  } else if (stats.isFile()) {
    const header = { name, size, mode, mtime };
    // A file that grows meanwhile must not break the archive: no more than its header says.
    if (size === 0) await addEntry(tar, header);
    else await pipeline(createReadStream(path, { end: size - 1 }), tar.entry(header));
  }
}

function addEntry(tar: Pack, header: Parameters<Pack['entry']>[0], content = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry(header, content, (error) => (error ? reject(error) : resolve()));
  });
}

interface IgnoreRules {
  ignores(name: string): boolean;
  /** With `!` patterns something inside an ignored folder may be wanted after all. */
  readonly hasExceptions: boolean;
}

async function ignoreRules(
  directory: string,
  dockerfilePath: string,
  files: ContextRequest['files'],
): Promise<IgnoreRules> {
  const textOf = async (name: string): Promise<string | null> =>
    files.get(name) ?? (await readIfThere(join(directory, name)));
  const text = (await textOf(`${dockerfilePath}.dockerignore`)) ?? (await textOf('.dockerignore')) ?? '';
  const rules = dockerignore.default().add(text);
  return { ignores: (name) => rules.ignores(name), hasExceptions: /^\s*!/m.test(text) };
}

/** Text of a regular file; a link in its place is not followed. */
async function readIfThere(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null); // not there: most repositories have none
  return found?.isFile() === true ? readFile(path, 'utf8') : null;
}
