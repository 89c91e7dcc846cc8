/** uv workspaces: one lockfile at the root, and members installed from their folders. */
import { z } from 'zod';
import { parseToml } from '../manifests.ts';
import { memberFolders } from '../member-folders.ts';
import { joinPath } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { workspaceAround } from '../workspace-around.ts';
import type { WorkspacePlace } from '../workspace-around.ts';

const MAX_MEMBERS = 50;

const Manifest = z.looseObject({
  tool: z
    .looseObject({
      uv: z
        .looseObject({ workspace: z.looseObject({ members: z.array(z.string()).default([]) }).optional() })
        .optional(),
    })
    .optional(),
});

/** Member folders of the workspace rooted here; empty if it is not a root. @throws OrkestrError ORK_MANIFEST_INVALID */
export async function uvMembers(root: RepositoryView, shownAs = 'pyproject.toml'): Promise<string[]> {
  const text = await root.text('pyproject.toml');
  if (text?.includes('uv') !== true) return [];
  const patterns = parseToml(shownAs, text, Manifest).tool?.uv?.workspace?.members.slice(0, MAX_MEMBERS) ?? [];
  const folders = await Promise.all(patterns.map((pattern) => memberFolders(root, pattern)));
  return [...new Set(folders.flat())].slice(0, MAX_MEMBERS);
}

/** The nearest workspace with a lockfile that a root directory is a member of, or null. */
export const uvWorkspaceAbove = (checkout: RepositoryView, rootDirectory: string): Promise<WorkspacePlace | null> =>
  workspaceAround(
    checkout,
    rootDirectory,
    async (view, root, folder) =>
      (await view.has('uv.lock')) && (await uvMembers(view, joinPath(root, 'pyproject.toml'))).includes(folder),
  );
