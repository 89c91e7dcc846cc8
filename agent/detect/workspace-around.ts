/** The workspace of the app's folder: its build needs sibling folders, so it starts at the workspace root. */
import { within } from './repository.ts';
import type { RepositoryView } from './repository.ts';

const MAX_DEPTH = 6;

export interface WorkspacePlace {
  /** Path of the workspace root in the checkout. */
  readonly root: string;
  /** Path of the member in the workspace; `.` for the root itself. */
  readonly folder: string;
}

/**
 * The nearest workspace at or above a root directory that has it as a member; null if there is none.
 * @param hasMember gets the candidate folder, its path in the checkout, and the member's path in it
 */
export async function workspaceAround(
  checkout: RepositoryView,
  rootDirectory: string,
  hasMember: (view: RepositoryView, root: string, folder: string) => Promise<boolean>,
): Promise<WorkspacePlace | null> {
  const parts = rootDirectory === '.' ? [] : rootDirectory.split('/');
  for (let length = parts.length; length >= Math.max(0, parts.length - MAX_DEPTH); length -= 1) {
    const root = parts.slice(0, length).join('/') || '.';
    const folder = parts.slice(length).join('/') || '.';
    if (await hasMember(within(checkout, root), root, folder)) return { root, folder };
  }
  return null;
}
