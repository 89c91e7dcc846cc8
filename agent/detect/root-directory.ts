/** The folder of an app inside a checkout. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';

/**
 * The app's absolute path.
 * @throws OrkestrError ORK_ROOT_MISSING if it is missing or not a folder, ORK_REPO_UNSAFE if a link is in the path
 */
export async function folderOf(checkout: string, rootDirectory: string): Promise<string> {
  let directory = checkout;
  for (const part of rootDirectory.split('/')) {
    directory = join(directory, part);
    const entry = await lstat(directory).catch((error: NodeJS.ErrnoException) => {
      // Reported below; any other error is unexpected.
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (entry?.isSymbolicLink()) {
      throw new OrkestrError('ORK_REPO_UNSAFE', `The root directory ${rootDirectory} leads through a link.`);
    }
    if (!entry?.isDirectory()) {
      throw new OrkestrError('ORK_ROOT_MISSING', `The repository has no folder ${rootDirectory} at this commit.`);
    }
  }
  return directory;
}
