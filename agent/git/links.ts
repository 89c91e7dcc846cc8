/** Symbolic links of a checkout: none may lead outside, not even indirectly. */
import { lstat, readdir, readlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** The kernel's limit (path_resolution(7)); a loop resolves to nothing, so it does not lead outside. */
const MAX_HOPS = 40;

/** Path (relative to `root`) of the first link that leads outside `root`, or null. Opens and follows nothing. */
export async function findEscapingLink(root: string): Promise<string | null> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    if (await leadsOut(root, path)) return relative(root, path);
  }
  return null;
}

/** Resolves the link component by component, as the kernel would, but never above `root`. */
async function leadsOut(root: string, link: string): Promise<boolean> {
  let at = dirname(link);
  const parts = [link.slice(at.length + 1)];
  for (let hops = 0; parts.length > 0;) {
    const part = parts.shift() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (at === root) return true;
      at = dirname(at);
      continue;
    }
    const next = join(at, part);
    const target = await linkTarget(next);
    if (target === null) {
      at = next;
      continue;
    }
    if (target.startsWith('/') || (hops += 1) > MAX_HOPS) return target.startsWith('/');
    parts.unshift(...target.split('/'));
  }
  return false;
}

/** Target of a link; null if `path` is no link or does not exist (the rest of the path is then checked lexically). */
async function linkTarget(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null); // dangling: allowed as long as it points inside
  return found?.isSymbolicLink() === true ? readlink(path) : null;
}
