/** The last upgrade of this host, on disk: its order, its progress, its end. Each step rewrites the whole file. */
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

/** Where to get the files of the release. `none`: it is already unpacked on the host. */
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
  /** What is being done, in a few words for people. */
  doing: z.string().max(200),
  /** Going back was decided but is not done yet; the reason is in `error`. */
  goingBack: z.boolean(),
  /** How many times an upgrader began to switch: a killed one is restarted. */
  switches: z.int().min(0),
  orderedAt: Timestamp,
  changedAt: Timestamp,
  error: ErrorReport.nullable(),
});
export type Upgrade = z.infer<typeof Upgrade>;

const ENDED: ReadonlySet<HostUpgradeState> = new Set(['healthy', 'reverted', 'failed']);

export const isEnded = ({ state }: Upgrade): boolean => ENDED.has(state);

/** @returns null if this host was never upgraded @throws OrkestrError ORK_CONFIG if the file is not a valid record */
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

/** For display only. @returns null also if the record is not readable */
export function lastUpgrade(file: string): Upgrade | null {
  try {
    return readUpgrade(file);
  } catch {
    return null; // the doctor reports it
  }
}

/** One line for people. */
export const upgradeLine = ({ from, version, state, changedAt, doing }: Upgrade): string =>
  `${from} to ${version}: ${state} (${doing}), ${changedAt}`;

/** Poll interval if the kernel does not report changes, ms. */
const LOOK_MS = 1000;

/** Calls `changed` after each change of the file, until the returned function is called. The folder must exist. */
export function watchUpgrade(file: string, changed: () => void): () => void {
  let watcher: FSWatcher;
  try {
    // Watches the folder, because every write is a new file under the old name.
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

/** Not by `watchFile`: it takes its first look some time later and misses changes before that. */
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

/** The news of an upgrade for the hub. */
export const newsOf = ({ upgradeId, version, state, error }: Upgrade): UpgradeNews => ({
  type: 'upgrade-state',
  upgradeId,
  version,
  state,
  ...(error === null ? {} : { error }),
});
