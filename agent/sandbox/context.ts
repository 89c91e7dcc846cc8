/** The build context as a tar stream: the checkout without what .dockerignore names, and the files of the plan. */
import { createReadStream } from 'node:fs';
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

async function fill(tar: Pack, { directory, dockerfilePath, files, modifiedAt }: ContextRequest): Promise<void> {
  const rules = await ignoreRules(directory, dockerfilePath, files);
  for (const [name, text] of files) await addEntry(tar, { name, mode: 0o644, mtime: modifiedAt }, text);
  const ownFolders = new Set([...files.keys()].flatMap(foldersAbove));
  await addFolder(tar, directory, '', { rules, files, ownFolders, modifiedAt });
}

interface Selection {
  readonly rules: IgnoreRules;
  readonly files: ReadonlyMap<string, string>;
  /** Folders of those files: what the checkout has of that name must be a folder too. */
  readonly ownFolders: ReadonlySet<string>;
  readonly modifiedAt: Date | undefined;
}

/** `a/b/c` is in `a` and `a/b`. */
function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

async function addFolder(tar: Pack, root: string, folder: string, selection: Selection): Promise<void> {
  const names = (await readdir(join(root, folder))).sort();
  for (const entry of names) {
    const name = folder === '' ? entry : `${folder}/${entry}`;
    if (selection.files.has(name)) continue;
    const path = join(root, name);
    const found = await lstat(path);
    const mtime = selection.modifiedAt ?? found.mtime;
    const ignored = selection.rules.ignores(name);
    if (found.isDirectory()) {
      if (ignored && !selection.rules.hasExceptions) continue;
      if (!ignored) await addEntry(tar, { name, type: 'directory', mode: found.mode & 0o7777, mtime });
      await addFolder(tar, root, name, selection);
    } else if (ignored || selection.ownFolders.has(name)) {
      continue;
    } else if (found.isSymbolicLink()) {
      await addEntry(tar, { name, type: 'symlink', linkname: await readlink(path), mtime });
    } else if (found.isFile()) {
      const header = { name, size: found.size, mode: found.mode & 0o7777, mtime };
      // A file that grows meanwhile must not break the archive: no more than its header says.
      if (found.size === 0) await addEntry(tar, header);
      else await pipeline(createReadStream(path, { end: found.size - 1 }), tar.entry(header));
    }
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
