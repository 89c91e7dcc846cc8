/** Members of a cargo or uv workspace, as listed in manifests: by name, or as `dir/*`. */
import type { RepositoryView } from './repository.ts';

/** Folders that a member pattern matches; none if it is not valid. They may lack a manifest. */
export async function memberFolders(repository: RepositoryView, member: string): Promise<string[]> {
  const [, parent, rest] =
    /^((?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*)(\*|[A-Za-z0-9_][A-Za-z0-9._-]*)\/?$/.exec(member) ?? [];
  if (parent === undefined || rest === undefined) return [];
  if (rest !== '*') return [`${parent}${rest}`];
  const entries = await repository.entries(parent === '' ? '.' : parent.slice(0, -1));
  return entries.filter((entry) => entry.endsWith('/')).map((entry) => `${parent}${entry.slice(0, -1)}`);
}
