/** A view for files that only inform a warning: one that cannot be read counts as absent, and fails no deployment. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { RepositoryView } from './repository.ts';

/** Too large, not UTF-8, or a link out of the folder. The limits of an analysis still end it. */
const UNREADABLE = ['ORK_MANIFEST_INVALID', 'ORK_REPO_UNSAFE'];

export function lenientView(view: RepositoryView): RepositoryView {
  return {
    has: (path) => orElse(false, view.has(path)),
    text: (path) => orElse(null, view.text(path)),
    head: (path, bytes) => orElse(null, view.head(path, bytes)),
    entries: (folder) => orElse([], view.entries(folder)),
  };
}

/** The result, or `instead` if it fails on a file that cannot be read. */
export async function orElse<T>(instead: T, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof OrkestrError && UNREADABLE.includes(error.code)) return instead;
    throw error;
  }
}
