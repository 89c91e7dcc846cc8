/** What a commit refers to but a checkout lacks: submodules, and files in Git LFS. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { SimpleGit } from 'simple-git';

/** Files with the LFS filter that are checked. */
const MAX_FILES = 1000;
const MAX_NAMED = 3;
const MAX_PATH = 100;
/** Start of a pointer file (git-lfs specification). */
const POINTER = 'version https://git-lfs.github.com/spec/v1\n';

/**
 * Log lines about missing content, each with advice; none if the checkout is complete.
 * @param git a client in `directory`, where the commit is checked out
 */
export async function leftOut(
  git: Pick<SimpleGit, 'raw'>,
  directory: string,
  { submodules, hasAttributes }: { readonly submodules: readonly string[]; readonly hasAttributes: boolean },
): Promise<string[]> {
  const pointers = hasAttributes ? await pointersIn(git, directory) : [];
  return [
    ...(submodules.length === 0
      ? []
      : [
          `warning: Submodules are not fetched, and their folders are empty: ${named(submodules)}. Put their files into the repository, or turn them into packages.`,
        ]),
    ...(pointers.length === 0
      ? []
      : [
          `warning: Files in Git LFS are not fetched; only their pointer files are present: ${named(pointers)}. Keep them in the repository itself (\`git lfs migrate export\`), or fetch them in the build.`,
        ]),
  ];
}

async function pointersIn(git: Pick<SimpleGit, 'raw'>, directory: string): Promise<string[]> {
  const listed = await git.raw('ls-files', '-z', '--', ':(attr:filter=lfs)');
  const paths = listed.split('\0').filter((path) => path !== '');
  const found: string[] = [];
  for (const path of paths.slice(0, MAX_FILES)) if (await isPointer(join(directory, path))) found.push(path);
  return found;
}

async function isPointer(path: string): Promise<boolean> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null); // a link, or gone
  if (file === null) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(POINTER.length), 0, POINTER.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === POINTER;
  } finally {
    await file.close();
  }
}

function named(paths: readonly string[]): string {
  const more = paths.length - MAX_NAMED;
  const first = paths.slice(0, MAX_NAMED).map((path) => path.slice(0, MAX_PATH));
  return `${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
