/** Where the builds' groups are in the cgroup tree. */
import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree } from './processes.ts';

export const CGROUP_ROOT = '/sys/fs/cgroup';
/**
 * The group of installer/units/orkestr-build.service, which systemd delegates (systemd: CGROUP_DELEGATION). A dash in a
 * slice's name stands for a level of the tree (systemd.slice(5)).
 */
const DELEGATED = 'orkestr.slice/orkestr-build.slice/orkestr-build.service';

export const isV2 = (root: string): boolean => existsSync(join(root, 'cgroup.controllers'));

export interface BuildGroup {
  /** Group of one agent, the parent of its slots. */
  readonly path: string;
  /** Its topmost ancestor, a sibling of the groups of apps and services. */
  readonly atTop: string;
}

/** Below the group delegated by systemd if there is one, else at the top of the tree. */
export function buildGroup(scope: string, root: string = CGROUP_ROOT): BuildGroup {
  const tracked = isV2(root) ? root : join(root, 'systemd');
  const path = existsSync(join(tracked, DELEGATED)) ? `${DELEGATED}/${scope}` : `orkestr-build-${scope}`;
  const [atTop = path] = path.split('/');
  return { path, atTop };
}

/**
 * Removes a group from every tree of the host, along with its descendants and any empty ancestors: under cgroup v1
 * systemd has a group in some of the trees, and in the others the ancestors are ours.
 */
export async function removeGroup(path: string, root: string = CGROUP_ROOT): Promise<void> {
  const trees = isV2(root) ? [root] : (await readdir(root)).map((tree) => join(root, tree));
  for (const tree of trees) {
    await removeTree(join(tree, path));
    for (let above = dirname(path); above !== '.'; above = dirname(above)) {
      await rmdir(join(tree, above)).catch(() => undefined); // in use, or absent
    }
  }
}
