/** Differences between the releases of Yarn 2 and later. */
import type { RepositoryView } from '../repository.ts';

/** The release that wrote a lockfile, by the version in its metadata: another release would want to change the file. */
export function yarnOf(lockfile: string): string {
  const format = Number(/^__metadata:\s+version: (\d+)/m.exec(lockfile)?.[1] ?? 8);
  return format >= 8 ? '4' : format >= 6 ? '3' : '2';
}

const FOCUS_PLUGIN = '.yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs';

/**
 * Whether there is `yarn workspaces focus`, which excludes development dependencies: since Yarn 4, before as a plugin.
 */
export async function hasFocus(repository: RepositoryView, version: string): Promise<boolean> {
  // The repository's own Yarn, to which any other one delegates.
  const own = /^yarnPath:.*\byarn-(\d+)\./m.exec((await repository.text('.yarnrc.yml')) ?? '')?.[1];
  return Number.parseInt(own ?? version, 10) >= 4 || repository.has(FOCUS_PLUGIN);
}
