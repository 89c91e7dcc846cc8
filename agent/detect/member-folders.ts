/** Members of a workspace of cargo or uv, as their manifests name them: one by one, or by `dir/*`. */
import type { RepositoryView } from './repository.ts';

/** Folders that a member stands for; none for what is no such name. They need not have a manifest. */
export async function memberFolders(repository: RepositoryView, member: string): Promise<string[]> {
  const [, parent, rest] =
    /^((?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*)(\*|[A-Za-z0-9_][A-Za-z0-9._-]*)\/?$/.exec(member) ?? [];
  if (parent === undefined || rest === undefined) return [];
  if (rest !== '*') return [`${parent}${rest}`];
  const entries = await repository.entries(parent === '' ? '.' : parent.slice(0, -1));
  return entries.filter((entry) => entry.endsWith('/')).map((entry) => `${parent}${entry.slice(0, -1)}`);
}
