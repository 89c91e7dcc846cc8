/** The workspace that the folder of an app is a member of: its build needs what lies beside the app, from the root of all. */
import { within } from './repository.ts';
import type { RepositoryView } from './repository.ts';

const MAX_DEPTH = 6;

export interface WorkspacePlace {
  /** The root of the workspace in the checkout. */
  readonly root: string;
  /** The member in it; `.` for the root itself. */
  readonly folder: string;
}

/**
 * The nearest one at or above a root directory, of which it is a member; null without.
 * @param hasMember told the folder to look at, its path in the checkout, and the member's path in it
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

/** The path of a file in the checkout, for messages: `services/go.work`. */
export const pathIn = (root: string, file: string): string => (root === '.' ? file : `${root}/${file}`);
