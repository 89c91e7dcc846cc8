/** Deno workspaces: the deno.json at the root lists the member folders, which share its imports and lockfile. */
import { z } from 'zod';
import { parseJsonWithComments } from '../manifests.ts';
import { memberFolders } from '../member-folders.ts';
import { firstFile, joinPath, present, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { workspaceAround } from '../workspace-around.ts';
import type { WorkspacePlace } from '../workspace-around.ts';

const MAX_MEMBERS = 50;
/** Deno's manifest, under either name. */
export const DENO_MANIFESTS = ['deno.json', 'deno.jsonc'];

const Members = z.array(z.string());
const Manifest = z.looseObject({
  workspace: z.union([Members, z.looseObject({ members: Members }).transform(({ members }) => members)]).default([]),
  imports: z.record(z.string(), z.string()).default({}),
});

/** The manifest of folder `at` in the checkout, or null. @throws OrkestrError ORK_MANIFEST_INVALID */
async function manifestOf(view: RepositoryView, at: string): Promise<z.infer<typeof Manifest> | null> {
  const file = await firstFile(view, DENO_MANIFESTS);
  return file === null ? null : parseJsonWithComments(joinPath(at, file.path), file.text, Manifest);
}

/** Member folders of the workspace rooted here; empty if it is not a root. @throws OrkestrError ORK_MANIFEST_INVALID */
export async function denoMembers(root: RepositoryView, at = '.'): Promise<string[]> {
  const patterns = (await manifestOf(root, at))?.workspace.slice(0, MAX_MEMBERS) ?? [];
  const folders = await Promise.all(patterns.map((pattern) => memberFolders(root, pattern.replace(/^\.\//, ''))));
  return [...new Set(folders.flat())].slice(0, MAX_MEMBERS);
}

interface DenoWorkspace extends WorkspacePlace {
  /** Import map shared by all members. */
  readonly imports: Readonly<Record<string, string>>;
  /** Files to install dependencies from, relative to the root; empty if the install needs the sources. */
  readonly manifests: readonly string[];
}

/** The workspace that contains the app in a root directory, or null. @throws OrkestrError ORK_MANIFEST_INVALID */
export async function denoWorkspaceAround(
  checkout: RepositoryView,
  rootDirectory: string,
): Promise<DenoWorkspace | null> {
  const place = await workspaceAround(checkout, rootDirectory, async (view, root, folder) =>
    (await denoMembers(view, root)).includes(folder),
  );
  if (place === null) return null;
  const root = within(checkout, place.root);
  const config = await manifestOf(root, place.root);
  const members = (await denoMembers(root, place.root)).map((folder) => `${folder}/`);
  return {
    ...place,
    imports: config?.imports ?? {},
    manifests: await denoManifests(root, config ?? {}, ['', ...members]),
  };
}

/**
 * Files that `deno install` reads, relative to the build root: those of the root itself (''), and of members ('api/').
 * @returns empty if it needs the sources: for an import map file, or packages in folders
 */
export async function denoManifests(
  root: RepositoryView,
  config: Readonly<Record<string, unknown>>,
  folders: readonly string[] = [''],
): Promise<readonly string[]> {
  if (['importMap', 'links', 'patch'].some((field) => field in config)) return [];
  const packages = await present(root, at(folders, ['package.json']));
  for (const path of packages)
    if (/"(?:file|link|workspace):|"workspaces"/.test((await root.text(path)) ?? '')) return [];
  return [...(await present(root, [...at(folders, DENO_MANIFESTS), 'deno.lock'])), ...packages];
}

const at = (folders: readonly string[], files: readonly string[]): string[] =>
  folders.flatMap((folder) => files.map((file) => `${folder}${file}`));
