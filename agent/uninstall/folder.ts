/** A folder of ours goes, wherever its owner has put it. */
import { existsSync, lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All that is in it, then itself. A mount point is emptied and stays. A link goes, and not what it leads to: whose that is,
 * nobody here knows.
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
  // A mount point is below it.
  if (readdirSync(path).length > 0 && stays.length > 0) return stays;
  try {
    rmdirSync(path);
    return stays;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    return [...stays, `${path} is a mount point: emptied, but kept`];
  }
}

/** In one call where nothing is in the way, which is faster. What is, the other way finds, and tells. */
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
