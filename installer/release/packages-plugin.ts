/** Records which npm packages are in a bundle, for the list of components and the licences. */
import { relative } from 'node:path';

/** One path below the repository per line, e.g. `node_modules/ws`. */
export const PACKAGES_FILE = 'packages.txt';

/** Greedy: a package may contain packages of its own. */
const IN_PACKAGE = /^(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//;

interface Emitter {
  emitFile(file: { type: 'asset'; fileName: string; source: string }): unknown;
}

/**
 * A plugin for rolldown and vite.
 * @param root folder of the repository
 */
export const packagesPlugin = (root: string) => ({
  name: 'orkestr-packages',
  generateBundle(this: Emitter, _options: unknown, bundle: Readonly<Record<string, { moduleIds?: string[] }>>): void {
    const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
    const packages = new Set(modules.flatMap((id) => IN_PACKAGE.exec(relative(root, id))?.[1] ?? []));
    const source = [...packages]
      .toSorted()
      .map((path) => `${path}\n`)
      .join('');
    this.emitFile({ type: 'asset', fileName: PACKAGES_FILE, source });
  },
});
