/**
 * Orders an upgrade: decides which version, from where, and whether it is allowed; then starts the unit that does it.
 */
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/json.ts';
import { compareVersions, MANIFEST_FILE, ReleaseManifest, ReleaseVersion } from '../../protocol/release.ts';
import { readIdentity } from '../identity/identity.ts';
import { timestamp } from '../lib/clock.ts';
import { syncFolder } from '../lib/files.ts';
import { fetchText } from './fetch.ts';
import type { UpgradeParts } from './health.ts';
import { hasHub, linkedVersion, originOf, releaseFolder } from './layout.ts';
import { writeUpgrade } from './record.ts';
import type { ReleaseSource, Upgrade } from './record.ts';
import { UPGRADE_UNIT } from './services.ts';

/** More than the time from the creation of the link to the start of the unit. */
const ORDER_MS = 15_000;

/** The request of a person or the hub. */
export interface UpgradeWish {
  /** Null: the newest version of the source. */
  readonly version: string | null;
  /** Folder with the files of a release; null: from the hub, or from where releases are published. */
  readonly folder: string | null;
  readonly allowDowngrade: boolean;
}

/** What an upgrade would do. */
export interface UpgradePlan {
  readonly from: string;
  readonly version: string;
  readonly source: ReleaseSource;
}

/**
 * Changes nothing.
 * @returns `version` equal to `from` if there is nothing to do
 * @throws OrkestrError ORK_UPGRADE_UNSUPPORTED, ORK_UPGRADE_VERSION, ORK_UPGRADE_SOURCE, ORK_UPGRADE_FETCH
 */
export async function planUpgrade(parts: UpgradeParts, wish: UpgradeWish): Promise<UpgradePlan> {
  const from = linkedVersion(parts.layout.current);
  if (from === null) {
    throw new OrkestrError('ORK_UPGRADE_UNSUPPORTED', `There is no release at ${parts.layout.current}.`);
  }
  const { version, source } = await find(parts, from, wish);
  if (compareVersions(version, from) < 0 && !wish.allowDowngrade) {
    throw new OrkestrError('ORK_UPGRADE_VERSION', `${version} is older than ${from}, the version running here.`);
  }
  return { from, version, source };
}

type Found = Pick<UpgradePlan, 'version' | 'source'>;

async function find(parts: UpgradeParts, from: string, { version, folder }: UpgradeWish): Promise<Found> {
  const { layout } = parts;
  if (version !== null && existsSync(releaseFolder(layout, version))) return { version, source: { kind: 'none' } };
  if (folder !== null) return inPlace(parts, { kind: 'folder', path: folder }, version);
  const hub = hubOf(parts);
  const handedOn = hub === null ? null : await atHub(parts, hub, version);
  if (handedOn !== null && (version === null || handedOn.version === version)) return handedOn;
  const { url } = originOf(layout, from);
  if (url !== '') return published(parts, url, version);
  const what = version === null ? 'the newest release' : `orkestr ${version}`;
  const hands = hub === null ? '' : ` The hub ${hub} offers ${handedOn?.version ?? 'nothing'}.`;
  throw new OrkestrError('ORK_UPGRADE_SOURCE', `There is no known source for ${what}.${hands}`);
}

/** Null on the hub's own host: the hub offers the release that it runs itself. */
const hubOf = ({ layout, config }: UpgradeParts): string | null =>
  hasHub(layout) ? null : (readIdentity(config.stateFolder)?.hub?.url ?? null);

async function published(parts: UpgradeParts, url: string, version: string | null): Promise<Found> {
  const wanted = version ?? (await newest(parts, url));
  return { version: wanted, source: { kind: 'url', url: `${url}/${wanted}` } };
}

/** @returns null if the hub offers no release but a version was requested, which may be published elsewhere */
async function atHub(parts: UpgradeParts, hub: string, version: string | null): Promise<Found | null> {
  try {
    return await inPlace(parts, { kind: 'url', url: `${hub.replace(/\/$/, '')}/releases` }, null);
  } catch (error) {
    if (version !== null && error instanceof OrkestrError && error.code === 'ORK_UPGRADE_SOURCE') return null;
    throw error;
  }
}

/**
 * A source with the files of one release. Its manifest only gives the version; the files are verified after fetching.
 */
async function inPlace({ clock }: UpgradeParts, source: ReleaseSource, version: string | null): Promise<Found> {
  if (version !== null) return { version, source };
  const text = await fetchText(source, MANIFEST_FILE, clock);
  const manifest = ReleaseManifest.safeParse(parseJson(text));
  if (manifest.success) return { version: manifest.data.version, source };
  throw new OrkestrError('ORK_UPGRADE_SOURCE', `${MANIFEST_FILE} there is not a release manifest.`);
}

async function newest({ clock, config: { channel } }: UpgradeParts, url: string): Promise<string> {
  const text = await fetchText({ kind: 'url', url: `${url}/channels` }, channel, clock);
  const version = ReleaseVersion.safeParse(text.trim());
  if (version.success) return version.data;
  throw new OrkestrError('ORK_UPGRADE_SOURCE', `${url}/channels/${channel} does not name a version.`);
}

/**
 * Records the order and starts the unit that carries it out.
 * @throws OrkestrError ORK_UPGRADE_RUNNING
 */
export async function startUpgrade(parts: UpgradeParts, plan: UpgradePlan, upgradeId: string): Promise<Upgrade> {
  const { layout, clock, services } = parts;
  await takeTurn(parts, plan.from);
  try {
    const at = timestamp(clock.now());
    const upgrade: Upgrade = {
      upgradeId,
      ...plan,
      state: 'fetching',
      doing: 'ordered',
      goingBack: false,
      switches: 0,
      orderedAt: at,
      changedAt: at,
      error: null,
    };
    mkdirSync(dirname(layout.record), { recursive: true, mode: 0o711 });
    writeUpgrade(layout.record, upgrade);
    await services.start(UPGRADE_UNIT);
    return upgrade;
  } catch (error) {
    rmSync(layout.upgrader, { force: true });
    throw error;
  }
}

/** The link is the lock: symlink(2) fails if it exists. */
async function takeTurn(parts: UpgradeParts, from: string): Promise<void> {
  const { layout, services } = parts;
  try {
    symlinkSync(`releases/${from}`, layout.upgrader);
    syncFolder(dirname(layout.upgrader));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    if (!(await isCutOff(parts))) {
      throw new OrkestrError('ORK_UPGRADE_RUNNING', 'Another upgrade is running on this host.', { cause });
    }
    // The unit resumes the recorded upgrade, or removes the link if nothing was recorded.
    await services.start(UPGRADE_UNIT);
    const message = 'An upgrade of this host was interrupted when it was requested. It is now resumed or given up.';
    throw new OrkestrError('ORK_UPGRADE_RUNNING', message, { cause });
  }
}

/**
 * Whether nothing carries the upgrade out or is about to: the process that ordered it died before it started the unit.
 */
async function isCutOff({ layout, clock, services }: UpgradeParts): Promise<boolean> {
  const made = lstatSync(layout.upgrader, { throwIfNoEntry: false })?.mtimeMs;
  if (made === undefined || clock.now() - made < ORDER_MS) return false;
  return !(await services.state(UPGRADE_UNIT)).active;
}
