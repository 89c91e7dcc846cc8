/** The last upgrade of this host, on disk: what it is to do, how far it is, how it ended. Written whole at every step. */
import { existsSync, readFileSync, statSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { HostUpgradeState } from '../../protocol/agent-link.ts';
import type { UpgradeNews } from '../../protocol/agent-link.ts';
import { ErrorReport, OrkestrError } from '../../protocol/errors.ts';
import { Timestamp, Uuid } from '../../protocol/ids.ts';
import { ReleaseVersion } from '../../protocol/release.ts';
import { writeFileAtomic } from '../lib/files.ts';

/** Where the files of the release are. `none`: it stands unpacked on the host. */
export const ReleaseSource = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('url'), url: z.url({ protocol: /^https?$/ }) }),
  z.object({ kind: z.literal('folder'), path: z.string().startsWith('/').max(4096) }),
  z.object({ kind: z.literal('none') }),
]);
export type ReleaseSource = z.infer<typeof ReleaseSource>;

export const Upgrade = z.object({
  upgradeId: Uuid,
  from: ReleaseVersion,
  version: ReleaseVersion,
  source: ReleaseSource,
  state: HostUpgradeState,
  /** What is being done, a few words for people. */
  doing: z.string().max(200),
  /** Decided, and not done yet: the reason is in `error`. */
  goingBack: z.boolean(),
  /** How often an upgrader has begun to switch: one that was killed is started again. */
  switches: z.int().min(0),
  orderedAt: Timestamp,
  changedAt: Timestamp,
  error: ErrorReport.nullable(),
});
export type Upgrade = z.infer<typeof Upgrade>;

const ENDED: ReadonlySet<HostUpgradeState> = new Set(['healthy', 'reverted', 'failed']);

export const isEnded = ({ state }: Upgrade): boolean => ENDED.has(state);

/** @returns null when this host was never upgraded @throws OrkestrError ORK_CONFIG when the file is not readable as one */
export function readUpgrade(file: string): Upgrade | null {
  if (!existsSync(file)) return null;
  try {
    return Upgrade.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `${file} is not a readable record of an upgrade.`, { cause });
  }
}

export const writeUpgrade = (file: string, upgrade: Upgrade): void =>
  writeFileAtomic(file, `${JSON.stringify(upgrade, null, 2)}\n`, 0o600);

/** Only to be shown. @returns null also when the record is not readable */
export function lastUpgrade(file: string): Upgrade | null {
  try {
    return readUpgrade(file);
  } catch {
    return null; // the doctor says so
  }
}

/** In a line, for people. */
export const upgradeLine = ({ from, version, state, changedAt, doing }: Upgrade): string =>
  `${from} to ${version}: ${state} (${doing}), ${changedAt}`;

/** Where the kernel does not tell of changes, ms. */
const LOOK_MS = 1000;

/** Calls `changed` after each change of the file, until the answer is called. The folder must be there. */
export function watchUpgrade(file: string, changed: () => void): () => void {
  let watcher: FSWatcher;
  try {
    // The folder: every write is a new file under the old name.
    watcher = watch(dirname(file), (_event, name) => {
      if (name === null || name === basename(file)) changed();
    });
  } catch {
    // A host has 128 instances of inotify(7) per user, and apps that run as root share root's.
    return lookAgainAndAgain(file, changed);
  }
  watcher.on('error', () => watcher.close()); // the folder is gone: nothing will change in it any more
  return () => watcher.close();
}

/** Not by `watchFile`: what changes before its first look, which it takes some time later, it never tells. */
function lookAgainAndAgain(file: string, changed: () => void): () => void {
  const look = (): string => {
    const found = statSync(file, { throwIfNoEntry: false });
    return found === undefined ? '' : `${found.ino} ${found.mtimeMs}`;
  };
  let seen = look();
  const timer = setInterval(() => {
    const now = look();
    if (now === seen) return;
    seen = now;
    changed();
  }, LOOK_MS);
  return () => clearInterval(timer);
}

/** As the hub is told. */
export const newsOf = ({ upgradeId, version, state, error }: Upgrade): UpgradeNews => ({
  type: 'upgrade-state',
  upgradeId,
  version,
  state,
  ...(error === null ? {} : { error }),
});
