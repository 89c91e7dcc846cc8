/** Where an installation keeps what an upgrade touches. installer/install.sh makes it; docs/install.md lists it for people. */
import { existsSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { ORIGIN_FILE, ReleaseOrigin } from '../../protocol/release.ts';
import { syncFolder } from '../lib/files.ts';

export interface Layout {
  /** Versions beside each other, a folder each. */
  readonly releases: string;
  /** Link to the release that runs. */
  readonly current: string;
  /** Link to the one before it; absent: there was none. */
  readonly previous: string;
  /** Link to the release whose code carries an upgrade out. It is there for as long as that takes, and is its lock. */
  readonly upgrader: string;
  /** What a hub on this host hands on to others. */
  readonly served: string;
  /** Of systemd, for the host's own units. */
  readonly units: string;
  /** The last upgrade. */
  readonly record: string;
  /** Folder of the services' settings. */
  readonly settings: string;
  /** Folder of the hub's database. */
  readonly hubState: string;
}

/** @param root of the file system: tests have one of their own */
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

/** The version that a link leads to; null when it is not there. */
export function linkedVersion(link: string): string | null {
  try {
    return basename(readlinkSync(link));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** In one step: at any moment the link leads to the old or to the new one, and after a power cut to the new one. */
export function linkTo(link: string, version: string): void {
  rmSync(`${link}.new`, { force: true });
  symlinkSync(`releases/${version}`, `${link}.new`);
  renameSync(`${link}.new`, link);
  // The record of the upgrade may be on another disk: what it says was done is done.
  syncFolder(dirname(link));
}

/** @throws OrkestrError ORK_UPGRADE_UNSUPPORTED when the release was not made to be upgraded from */
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

/** Whether the hub runs on this host, too. */
export const hasHub = ({ units }: Layout): boolean => existsSync(join(units, 'orkestr-hub.service'));
