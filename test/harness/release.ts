/** For tests: a signed release of these sources for this machine, which `npm test` makes once for all of them. */
import { mkdirSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { makeRelease } from '../../installer/release/release.ts';
import { makeReleaseKey } from '../../installer/release/signature.ts';
import { ROOT } from '../../installer/stack/stack.ts';
import { ReleaseTarget } from '../../protocol/release.ts';
import type { ReleaseManifest } from '../../protocol/release.ts';

/** Environment variable: where the run of `npm test` has made its release. */
export const RELEASE_OF_RUN = 'ORK_TEST_RELEASE';

interface TestRelease {
  /** The release's files. Shared by tests: to change them, copy them. */
  readonly folder: string;
  /** Key that signed it. */
  readonly keyFile: string;
  /** Key that signs the releases after it. */
  readonly nextKeyFile: string;
}

/** Returns the release of the run of `npm test`. A test that is run alone makes one below `folder`, which must exist. */
export async function testRelease(folder: string): Promise<TestRelease> {
  const made = process.env[RELEASE_OF_RUN];
  return made === undefined ? makeTestRelease(join(folder, 'test-release')) : releaseBelow(made);
}

/** Makes a release with throwaway keys below `folder`, which must not exist. */
export async function makeTestRelease(folder: string): Promise<TestRelease> {
  mkdirSync(folder);
  const release = releaseBelow(folder);
  for (const file of [release.keyFile, release.nextKeyFile]) makeReleaseKey(file);
  await makeWithKeysOf(release, release.folder);
  return release;
}

/** Makes a release of the same sources with the same keys, in the folder `out`. */
export const makeWithKeysOf = (
  { keyFile, nextKeyFile }: Omit<TestRelease, 'folder'>,
  out: string,
): Promise<ReleaseManifest> =>
  makeRelease({
    root: ROOT,
    out,
    targets: [ReleaseTarget.parse(`linux-${arch()}`)],
    keyFile,
    nextKeyFile,
    url: '',
    // Fast; published archives are smaller.
    preset: 1,
    say: () => undefined,
  });

const releaseBelow = (folder: string): TestRelease => ({
  folder: join(folder, 'release'),
  keyFile: join(folder, 'key.pem'),
  nextKeyFile: join(folder, 'next-key.pem'),
});
