/** Go workspaces: a go.work, and the modules in folders that it uses. */
import { posix } from 'node:path';
import { workspaceAround } from '../workspace-around.ts';
import type { WorkspacePlace } from '../workspace-around.ts';
import { joinPath, present, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';

const MAX_MODULES = 50;
const MAX_LINES = 1000;

/** Module folders that the go.work here uses, possibly `.`; empty without one. Omits folders outside. */
export async function goMembers(root: RepositoryView): Promise<string[]> {
  return usedFolders((await root.text('go.work')) ?? '');
}

/** The `use` lines (go.dev/ref/mod#go-work-file), single or in parentheses. */
function usedFolders(text: string): string[] {
  const used: string[] = [];
  let inBrackets = false;
  for (const line of text.split('\n')) {
    const bare = line.replace(/\/\/.*$/, '').trim();
    const single = /^use\s+([^\s(].*)$/.exec(bare)?.[1];
    if (inBrackets && bare.startsWith(')')) inBrackets = false;
    else if (inBrackets) used.push(bare);
    else if (single !== undefined) used.push(single);
    else inBrackets = /^use\s*\($/.test(bare);
    if (used.length === MAX_LINES) break;
  }
  const folders = used.map((path) => posix.normalize(path.replaceAll(/["`]/g, '')).replace(/\/$/, ''));
  const inside = (folder: string): boolean => folder === '.' || /^(?:\w[\w.-]*(?:\/|$))+$/.test(folder);
  return [...new Set(folders.filter(inside))].slice(0, MAX_MODULES);
}

export interface GoWorkspace extends WorkspacePlace {
  /** The go.work, and its path in the checkout. */
  readonly text: string;
  readonly path: string;
  /** The go.mod of each of its modules. */
  readonly modules: readonly string[];
  /** Files to download modules from, relative to the workspace root; null if the download needs more files. */
  readonly manifests: readonly string[] | null;
}

/** The workspace of the module in a root directory, or null. */
export async function goWorkspaceAround(checkout: RepositoryView, rootDirectory: string): Promise<GoWorkspace | null> {
  const place = await workspaceAround(checkout, rootDirectory, async (view, _root, folder) =>
    (await goMembers(view)).includes(folder),
  );
  if (place === null) return null;
  const root = within(checkout, place.root);
  const text = (await root.text('go.work')) ?? '';
  const members = usedFolders(text);
  const modules = await Promise.all(members.map(async (member) => (await within(root, member).text('go.mod')) ?? ''));
  const outside =
    members.some((member, index) => replacedFolders(modules[index] ?? '', member).some(isNone(members))) ||
    replacedFolders(text, '.').some(isNone(members));
  const files = members.flatMap((member) => ['go.mod', 'go.sum'].map((file) => posix.join(member, file)));
  return {
    ...place,
    text,
    path: joinPath(place.root, 'go.work'),
    modules,
    manifests: outside ? null : await present(root, ['go.work', 'go.work.sum', ...files]),
  };
}

const isNone =
  (members: readonly string[]) =>
  (folder: string): boolean =>
    !members.includes(folder);

/** Folders that replace a module, relative to the manifest's folder: `replace x => ../lib`. */
function replacedFolders(manifest: string, folder: string): string[] {
  const paths = [...manifest.matchAll(/=>[ \t]*"?(\.{1,2}(?:\/[^\s"]*)?)/g)].map(([, path = '']) => path);
  return paths.map((path) => posix.join(folder, path).replace(/\/$/, ''));
}
