/** Symbolic links of a checkout: none may lead out of it, by whatever detour. */
import { lstat, readdir, readlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** As the kernel has it (path_resolution(7)); a loop leads nowhere, so it leads not out. */
const MAX_HOPS = 40;

/** Path (relative to `root`) of the first link that leads out of `root`, or null. Nothing is opened or followed. */
export async function findEscapingLink(root: string): Promise<string | null> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    if (await leadsOut(root, path)) return relative(root, path);
  }
  return null;
}

/** Walks the link component by component, as the kernel would, with `root` as the fence. */
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

/** Where a link points; null for what is no link or does not exist (the rest of the path is then judged by its words). */
async function linkTarget(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null); // dangling: allowed as long as it points inside
  return found?.isSymbolicLink() === true ? readlink(path) : null;
}
