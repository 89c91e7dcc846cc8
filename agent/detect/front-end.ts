/** The front end of an app in another language: Node.js packages that build its assets. */
import type { PackageJson } from './node/package-json.ts';
import { choosePackageManager, MANAGERS } from './node/package-manager.ts';
import type { ManagerSetup } from './node/package-manager.ts';
import type { RepositoryView } from './repository.ts';

export interface FrontEnd {
  /** package.json and the lockfile. */
  readonly manifests: readonly string[];
  readonly install: string;
  readonly setup: ManagerSetup | null;
  /** `npm run` */
  readonly run: string;
}

export async function frontEndOf(repository: RepositoryView, manifest: PackageJson): Promise<FrontEnd> {
  const { name, setup, lockfile } = await choosePackageManager(repository, manifest);
  const { install, installWithoutLock, run } = MANAGERS[name];
  return {
    manifests: ['package.json', ...(lockfile === null ? [] : [lockfile])],
    install: lockfile === null ? installWithoutLock : install,
    setup,
    run,
  };
}
