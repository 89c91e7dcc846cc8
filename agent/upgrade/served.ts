/**
 * The release files that a hub on this host offers to others: fetched along with the release, published once it runs.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { INSTALLER_FILE, MANIFEST_FILE, SIGNATURE_FILE, SUMS_FILE } from '../../protocol/release.ts';
import type { ReleaseFile, ReleaseManifest } from '../../protocol/release.ts';
import type { Clock } from '../deployment/ports.ts';
import { syncFileSystem } from '../lib/files.ts';
import { fetchFile, MAX_ARCHIVE_BYTES } from './fetch.ts';
import { originOf, releaseFolder } from './layout.ts';
import type { Layout } from './layout.ts';
import type { ReleaseSource, Upgrade } from './record.ts';
import { checkSum, sumOf } from './verify.ts';
import type { Sums } from './verify.ts';

const coming = ({ served }: Layout): string => `${served}.new`;

interface FetchedFiles {
  readonly layout: Layout;
  /** Folder with the verified files for this machine's platform. */
  readonly making: string;
  readonly archive: string;
  readonly sums: Sums;
  readonly source: ReleaseSource;
  readonly clock: Pick<Clock, 'sleep'>;
}

/**
 * Also fetches the archives for other platforms, as far as the source has them.
 * @throws OrkestrError ORK_UPGRADE_SIGNATURE, ORK_UPGRADE_FETCH
 */
export async function keepServed({ layout, making, archive, sums, source, clock }: FetchedFiles): Promise<void> {
  const folder = coming(layout);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const name of [SUMS_FILE, SIGNATURE_FILE, archive]) copyFileSync(join(making, name), join(folder, name));
  const others = [...sums.keys()].filter((name) => name.endsWith('.tar.xz') && name !== archive);
  for (const name of others) {
    const path = join(folder, name);
    try {
      await fetchFile(source, { name, path, maxBytes: MAX_ARCHIVE_BYTES }, clock);
    } catch (error) {
      // A folder for offline hosts need not have them all.
      if (error instanceof OrkestrError && error.code === 'ORK_UPGRADE_SOURCE') continue;
      throw error;
    }
    await checkSum(path, name, sums);
  }
}

/**
 * From now on other hosts get this version. Installer and manifest are made here, from what the signature covers,
 * because their published forms are not signed. A release that was already on the host brought no files: the hub
 * continues to offer the files that it has.
 */
export async function publishServed(
  layout: Layout,
  { from, version }: Pick<Upgrade, 'from' | 'version'>,
): Promise<void> {
  const folder = coming(layout);
  if (!existsSync(folder)) return;
  copyFileSync(join(releaseFolder(layout, version), INSTALLER_FILE), join(folder, INSTALLER_FILE));
  const names = readdirSync(folder).filter((name) => name !== MANIFEST_FILE);
  const files = await Promise.all(names.toSorted().map((name) => describe(folder, name)));
  // The key that signed it, which the release before it trusts. Its own origin file may name the key of the next one.
  const { publicKey } = originOf(layout, from);
  const { protocol } = originOf(layout, version);
  const manifest: ReleaseManifest = { version, publicKey, protocol, files };
  writeFileSync(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  // Whatever the umask: the hub reads the files as another user.
  chmodSync(folder, 0o755);
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
  await syncFileSystem(folder);
  // Not atomic: a hub that is asked in between answers that it has no release, and hosts ask again.
  rmSync(layout.served, { recursive: true, force: true });
  renameSync(folder, layout.served);
}

export const dropServed = (layout: Layout): void => rmSync(coming(layout), { recursive: true, force: true });

async function describe(folder: string, name: string): Promise<ReleaseFile> {
  const path = join(folder, name);
  return { name, bytes: statSync(path).size, sha256: await sumOf(path) };
}
