/** Workspaces of uv: one lockfile at the root, and members that it installs from their folders. */
import { z } from 'zod';
import { parseToml } from '../manifests.ts';
import { memberFolders } from '../member-folders.ts';
import { within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';

const MAX_MEMBERS = 50;
const MAX_DEPTH = 6;

const Manifest = z.looseObject({
  tool: z
    .looseObject({
      uv: z
        .looseObject({ workspace: z.looseObject({ members: z.array(z.string()).default([]) }).optional() })
        .optional(),
    })
    .optional(),
});

/** Folders of the members of the workspace whose root this is; empty when it is none. @throws OrkestrError ORK_MANIFEST_INVALID */
export async function uvMembers(root: RepositoryView, shownAs = 'pyproject.toml'): Promise<string[]> {
  const text = await root.text('pyproject.toml');
  if (text?.includes('uv') !== true) return [];
  const patterns = parseToml(shownAs, text, Manifest).tool?.uv?.workspace?.members.slice(0, MAX_MEMBERS) ?? [];
  const folders = await Promise.all(patterns.map((pattern) => memberFolders(root, pattern)));
  return [...new Set(folders.flat())].slice(0, MAX_MEMBERS);
}

export interface UvPlace {
  /** The root of the workspace in the checkout. */
  readonly root: string;
  /** The member in it. */
  readonly folder: string;
}

/** The workspace with a lockfile that a root directory is a member of, the nearest one; null without. */
export async function uvWorkspaceAbove(checkout: RepositoryView, rootDirectory: string): Promise<UvPlace | null> {
  const parts = rootDirectory === '.' ? [] : rootDirectory.split('/');
  for (let length = parts.length - 1; length >= Math.max(0, parts.length - MAX_DEPTH); length -= 1) {
    const root = length === 0 ? '.' : parts.slice(0, length).join('/');
    const view = within(checkout, root);
    const folder = parts.slice(length).join('/');
    if (!(await view.has('uv.lock'))) continue;
    if ((await uvMembers(view, root === '.' ? undefined : `${root}/pyproject.toml`)).includes(folder))
      return { root, folder };
  }
  return null;
}
