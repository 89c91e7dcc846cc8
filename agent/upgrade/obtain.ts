/** Brings a release to this host: fetched, verified, unpacked beside the others. What runs is not touched. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import {
  archiveName,
  ORIGIN_FILE,
  ReleaseOrigin,
  ReleaseTarget,
  SIGNATURE_FILE,
  SUMS_FILE,
} from '../../protocol/release.ts';
import { isDiskFull } from '../../protocol/service/disk-full.ts';
import type { Clock } from '../deployment/ports.ts';
import { run } from '../lib/exec.ts';
import { syncFileSystem, syncFolder } from '../lib/files.ts';
import { fetchFile, MAX_ARCHIVE_BYTES } from './fetch.ts';
import { hasHub, originOf, releaseFolder } from './layout.ts';
import type { Layout } from './layout.ts';
import type { ReleaseSource } from './record.ts';
import { keepServed } from './served.ts';
import { checkSum, readSums } from './verify.ts';

/** A list for about ten files. */
const MAX_SUMS_BYTES = 65_536;
const SIGNATURE_BYTES = 64;
/** Enough for a slow processor that is busy with builds. */
const UNPACK_MS = 10 * 60_000;

interface ReleaseWish {
  /** The release that runs: its key verifies the new one. */
  readonly from: string;
  readonly version: string;
  readonly source: ReleaseSource;
}

/**
 * Idempotent: a complete release is kept as it is, an incomplete one is made anew.
 * @throws OrkestrError ORK_UPGRADE_SOURCE, ORK_UPGRADE_FETCH, ORK_UPGRADE_SIGNATURE, ORK_UPGRADE_UNPACK, ORK_DISK_FULL
 */
export async function obtainRelease(
  layout: Layout,
  { from, version, source }: ReleaseWish,
  clock: Pick<Clock, 'sleep'>,
): Promise<void> {
  const folder = releaseFolder(layout, version);
  if (existsSync(folder)) return;
  const archive = archiveName(version, ReleaseTarget.parse(`linux-${process.arch}`));
  // In a folder beside its final place, so that an interrupted run leaves no incomplete release under the final name.
  const making = join(layout.releases, '.making');
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  try {
    const get = (name: string, maxBytes: number): Promise<void> =>
      fetchFile(source, { name, path: join(making, name), maxBytes }, clock);
    await get(SUMS_FILE, MAX_SUMS_BYTES);
    await get(SIGNATURE_FILE, SIGNATURE_BYTES);
    const { publicKey } = originOf(layout, from);
    const sums = readSums(join(making, SUMS_FILE), join(making, SIGNATURE_FILE), publicKey);
    await get(archive, MAX_ARCHIVE_BYTES);
    await checkSum(join(making, archive), archive, sums);
    const unpacked = await unpack(making, archive);
    checkVersion(unpacked, version);
    if (hasHub(layout)) await keepServed({ layout, making, archive, sums, source, clock });
    chmodSync(unpacked, 0o755);
    renameSync(unpacked, folder);
    syncFolder(layout.releases);
  } catch (cause) {
    if (!isDiskFull(cause)) throw cause;
    throw new OrkestrError('ORK_DISK_FULL', `${layout.releases} has no room for orkestr ${version}.`, { cause });
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

async function unpack(making: string, archive: string): Promise<string> {
  const args = ['--extract', `--file=${join(making, archive)}`, `--directory=${making}`, '--no-same-owner'];
  try {
    await run('tar', args, { timeoutMs: UNPACK_MS });
    // Files reach the disk before the name: a release that exists after a power cut counts as complete.
    await syncFileSystem(making);
  } catch (cause) {
    throw new OrkestrError('ORK_UPGRADE_UNPACK', `${archive} could not be unpacked: ${String(cause)}.`, { cause });
  }
  return join(making, archive.replace(/\.tar\.xz$/, ''));
}

/** The list only gives the archive's name; the release inside says what it is. */
function checkVersion(unpacked: string, version: string): void {
  const origin = ReleaseOrigin.parse(JSON.parse(readFileSync(join(unpacked, ORIGIN_FILE), 'utf8')));
  if (origin.version === version) return;
  throw new OrkestrError('ORK_UPGRADE_SIGNATURE', `The release named ${version} says that it is ${origin.version}.`);
}
