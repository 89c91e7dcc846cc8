/** Where in the tree the groups of builds are. */
import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree } from './processes.ts';

export const CGROUP_ROOT = '/sys/fs/cgroup';
/**
 * Of installer/units/orkestr-build.service, which systemd delegates (systemd: CGROUP_DELEGATION). A dash in the name of a
 * slice is a step down (systemd.slice(5)).
 */
const DELEGATED = 'orkestr.slice/orkestr-build.slice/orkestr-build.service';

export const isV2 = (root: string): boolean => existsSync(join(root, 'cgroup.controllers'));

export interface BuildGroup {
  /** Of one agent: its slots are below. */
  readonly path: string;
  /** The one of these that stands beside apps and services. */
  readonly atTop: string;
}

/** Below the group that systemd gave us, where it runs the host; else at the top of the tree. */
export function buildGroup(scope: string, root: string = CGROUP_ROOT): BuildGroup {
  const tracked = isV2(root) ? root : join(root, 'systemd');
  const path = existsSync(join(tracked, DELEGATED)) ? `${DELEGATED}/${scope}` : `orkestr-build-${scope}`;
  const [atTop = path] = path.split('/');
  return { path, atTop };
}

/**
 * Takes a group away from every tree of the host, with those below it, and those above it that nobody is in: under cgroup v1
 * systemd has a group in some of the trees, and in the others they are ours.
 */
export async function removeGroup(path: string, root: string = CGROUP_ROOT): Promise<void> {
  const trees = isV2(root) ? [root] : (await readdir(root)).map((tree) => join(root, tree));
  for (const tree of trees) {
    await removeTree(join(tree, path));
    for (let above = dirname(path); above !== '.'; above = dirname(above)) {
      await rmdir(join(tree, above)).catch(() => undefined); // somebody is in it, or it is not there
    }
  }
}
