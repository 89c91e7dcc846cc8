/** Removes a folder of ours, wherever its owner has put it. */
import { existsSync, lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Removes the contents, then the folder. A mount point is emptied and stays. A link is removed, but not its target,
 * because nobody here knows who owns that.
 * @returns what stays, in words for people
 */
export function removeFolder(path: string): readonly string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.isSymbolicLink()) return removeLink(path);
  if (!found.isDirectory()) {
    unlinkSync(path);
    return [];
  }
  const stays = readdirSync(path).flatMap((name) => removeEntry(join(path, name)));
  // There is a mount point below it.
  if (readdirSync(path).length > 0 && stays.length > 0) return stays;
  try {
    rmdirSync(path);
    return stays;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    return [...stays, `${path} is a mount point: emptied, but kept`];
  }
}

/** Tries one call first, which is faster. If that fails, the other way finds and reports the obstacle. */
function removeEntry(path: string): readonly string[] {
  if (!lstatSync(path).isDirectory()) return removeFolder(path);
  try {
    rmSync(path, { recursive: true });
    return [];
  } catch {
    return removeFolder(path);
  }
}

function removeLink(path: string): readonly string[] {
  const target = existsSync(path) ? realpathSync(path) : null;
  unlinkSync(path);
  return target === null ? [] : [`${path} was a link to ${target}, which is kept: remove it yourself`];
}
