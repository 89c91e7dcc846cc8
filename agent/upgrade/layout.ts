/** Paths of an installation that an upgrade touches. installer/install.sh creates them; docs/install.md lists them. */
import { existsSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { ORIGIN_FILE, ReleaseOrigin } from '../../protocol/release.ts';
import { syncFolder } from '../lib/files.ts';

export interface Layout {
  /** Folder with one folder per version. */
  readonly releases: string;
  /** Link to the release that runs. */
  readonly current: string;
  /** Link to the release before it; absent if there was none. */
  readonly previous: string;
  /** Link to the release whose code carries out an upgrade. It exists while the upgrade lasts, and is its lock. */
  readonly upgrader: string;
  /** Release files that a hub on this host offers to other hosts. */
  readonly served: string;
  /** systemd's folder for the host's own units. */
  readonly units: string;
  /** The record of the last upgrade. */
  readonly record: string;
  /** Folder of the services' settings. */
  readonly settings: string;
  /** Folder of the hub's database. */
  readonly hubState: string;
}

/** @param root root of the file system; tests have their own */
export function layoutAt(root = '/'): Layout {
  const programs = join(root, 'opt/orkestr');
  const state = join(root, 'var/lib/orkestr');
  return {
    releases: join(programs, 'releases'),
    current: join(programs, 'current'),
    previous: join(programs, 'previous'),
    upgrader: join(programs, 'upgrader'),
    served: join(programs, 'served'),
    units: join(root, 'etc/systemd/system'),
    record: join(state, 'upgrade.json'),
    settings: join(root, 'etc/orkestr'),
    hubState: join(state, 'hub'),
  };
}

export const releaseFolder = ({ releases }: Layout, version: string): string => join(releases, version);

export const programOf = (layout: Layout, version: string, name: string): string =>
  join(releaseFolder(layout, version), 'bin', name);

/** The version that a link points to; null if there is no link. */
export function linkedVersion(link: string): string | null {
  try {
    return basename(readlinkSync(link));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Atomic: at any moment the link points to the old or the new release, and after a power cut to the new one. */
export function linkTo(link: string, version: string): void {
  rmSync(`${link}.new`, { force: true });
  symlinkSync(`releases/${version}`, `${link}.new`);
  renameSync(`${link}.new`, link);
  // The record of the upgrade may be on another disk: the link must be on disk before the record says so.
  syncFolder(dirname(link));
}

/** @throws OrkestrError ORK_UPGRADE_UNSUPPORTED if the release was not made to be upgraded from */
export function originOf(layout: Layout, version: string): ReleaseOrigin {
  const file = join(releaseFolder(layout, version), ORIGIN_FILE);
  if (!existsSync(file)) {
    throw new OrkestrError(
      'ORK_UPGRADE_UNSUPPORTED',
      `${file} is missing, so the publisher of this release is unknown.`,
    );
  }
  return ReleaseOrigin.parse(JSON.parse(readFileSync(file, 'utf8')));
}

/** Whether the hub, too, runs on this host. */
export const hasHub = ({ units }: Layout): boolean => existsSync(join(units, 'orkestr-hub.service'));
