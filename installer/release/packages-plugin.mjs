// @ts-check
/** Writes down which npm packages are in a bundle: what the list of components and the licences are made from. */
import { relative } from 'node:path';

/** One path below the repository per line, e.g. `node_modules/ws`. */
export const PACKAGES_FILE = 'packages.txt';

/** Greedy: a package may have packages of its own below it. */
const IN_PACKAGE = /^(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//;

/**
 * A plugin for rolldown and vite.
 *
 * @param {string} root folder of the repository
 */
export const packagesPlugin = (root) => ({
  name: 'orkestr-packages',
  /**
   * @this {{ emitFile(file: { type: 'asset', fileName: string, source: string }): unknown }}
   * @param {unknown} _options
   * @param {Record<string, { moduleIds?: string[] }>} bundle
   */
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
    const packages = new Set(modules.flatMap((id) => IN_PACKAGE.exec(relative(root, id))?.[1] ?? []));
    const source = [...packages]
      .sort()
      .map((path) => `${path}\n`)
      .join('');
    this.emitFile({ type: 'asset', fileName: PACKAGES_FILE, source });
  },
});
